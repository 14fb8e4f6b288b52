// The budgets an operator sets: how much, in which period, for what, and when to be told.
import { z } from 'zod'
import { isTimeZone } from '../lib/calendar.ts'
import { durationSchema } from '../lib/config.ts'
import type { Matcher } from '../model/matcher.ts'
import { valueTest } from '../model/matcher.ts'

/** `agent="pilot"`, `model=~"large-.*"`: as in PromQL, without braces. */
export const matcherSchema = z.string().transform((text, ctx): Matcher => {
  const m = /^\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*$/.exec(text)
  try {
    if (m) {
      const matcher = { name: m[1]!, op: m[2] as Matcher['op'], value: JSON.parse(m[3]!) as string }
      valueTest(matcher)
      return matcher
    }
    ctx.addIssue(`not a matcher: ${text}; write it as agent="pilot" or model=~"large-.*"`)
  } catch (error) {
    ctx.addIssue(error instanceof Error ? error.message : String(error))
  }
  return z.NEVER
})

const budgetSchema = z.strictObject({
  name: z.string().min(1),
  /** US dollars a period. */
  amount: z.number().positive(),
  period: z.enum(['daily', 'monthly', 'annual']).default('monthly'),
  timezone: z.string().default('UTC').refine(isTimeZone, 'not a known time zone; write it as Europe/Berlin'),
  /** Which costs count, by labels of airboss_cost_usd_total; all of them together. None = every cost. */
  filter: z.array(matcherSchema).default([]),
  /** Shares of the amount; each tells once a period. */
  thresholds: z
    .array(z.number().positive().max(10, 'is a share of the amount: 0.5 is half of it'))
    .min(1)
    .default([0.5, 0.8, 1]),
  /** Whether it also tells when the spending so far, drawn out in a straight line, will pass the amount. */
  projected: z.boolean().default(true),
  /** More labels for its alerts, for routing them: `team: search`. */
  labels: z
    .record(z.string().regex(/^[a-zA-Z_]\w*$/, 'not a label name'), z.string())
    .default({})
    .superRefine((labels, ctx) => {
      for (const name of ['alertname', 'budget', 'period', 'threshold'])
        if (Object.hasOwn(labels, name))
          ctx.addIssue({ code: 'custom', path: [name], message: 'is set by Airboss; use another name' })
    }),
  interval: durationSchema.prefault('1m').refine((d) => d >= 1000, 'at least 1s'),
})

/** Schema of `budgets:`. */
export const budgetsSchema = z
  .array(budgetSchema)
  .default([])
  .superRefine((all, ctx) => {
    const seen = new Set<string>()
    all.forEach((b, i) => {
      if (seen.has(b.name))
        ctx.addIssue({ code: 'custom', path: [i, 'name'], message: `${b.name} is named twice` })
      seen.add(b.name)
    })
  })

export type BudgetConfig = z.output<typeof budgetsSchema>[number]
