// The schemas of a route and of an inhibition rule.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { messageOf } from '../lib/errors.ts'
import type { Duration } from '../lib/time.ts'
import type { Matcher, MatchOp } from '../model/matcher.ts'
import type { InhibitRuleConfig } from './inhibit.ts'
import { checkMatcher, parseMatchers } from './matchers.ts'
import type { RouteConfig } from './route.ts'

const matchersSchema = z
  .array(
    z.string().transform((text, ctx): Matcher[] => {
      try {
        return parseMatchers(text)
      } catch (error) {
        ctx.addIssue(messageOf(error))
        return z.NEVER
      }
    }),
  )
  .nullish()
  .transform((lists) => (lists ?? []).flat())

/** The older form: a map of label to value (`match`) or to pattern (`match_re`). */
const mapSchema = (op: MatchOp) =>
  z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .nullish()
    .transform((map, ctx): Matcher[] => {
      const made: Matcher[] = []
      for (const [name, value] of Object.entries(map ?? {})) {
        try {
          made.push(checkMatcher({ name, op, value }))
        } catch (error) {
          ctx.addIssue({ code: 'custom', message: messageOf(error), path: [name] })
        }
      }
      return made
    })

const names = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? [])

const groupBySchema = z
  .array(z.string().min(1, 'a label name may not be empty'))
  .transform((list, ctx): readonly string[] | 'all' => {
    if (new Set(list).size < list.length) ctx.addIssue('a label is listed twice')
    if (!list.includes('...')) return list
    if (list.length > 1) ctx.addIssue('... stands for every label: it must stand alone')
    return 'all'
  })
  .nullish()

const positive = (what: string) =>
  durationSchema.refine((d) => d > 0, `${what} must be longer than 0`).nullish()

export interface RawRoute {
  readonly receiver?: string | null | undefined
  readonly group_by?: readonly string[] | 'all' | null | undefined
  readonly matchers: readonly Matcher[]
  readonly continue: boolean
  readonly group_wait?: Duration | null | undefined
  readonly group_interval?: Duration | null | undefined
  readonly repeat_interval?: Duration | null | undefined
  readonly mute_time_intervals: readonly string[]
  readonly active_time_intervals: readonly string[]
  readonly routes: readonly RawRoute[]
}

export const routeSchema: z.ZodType<RawRoute> = z.lazy(() =>
  z
    .strictObject({
      receiver: z.string().nullish(),
      group_by: groupBySchema,
      match: mapSchema('='),
      match_re: mapSchema('=~'),
      matchers: matchersSchema,
      continue: z.boolean().default(false),
      group_wait: durationSchema.nullish(),
      group_interval: positive('group_interval'),
      repeat_interval: positive('repeat_interval'),
      mute_time_intervals: names,
      active_time_intervals: names,
      routes: z
        .array(routeSchema)
        .nullish()
        .transform((list) => list ?? []),
    })
    .transform(({ match, match_re, matchers, ...rest }) => ({
      ...rest,
      matchers: [...match, ...match_re, ...matchers],
    })),
)

export const toRoute = (raw: RawRoute): RouteConfig => ({
  receiver: raw.receiver || null,
  groupBy: raw.group_by ?? null,
  matchers: raw.matchers,
  goOn: raw.continue,
  groupWait: raw.group_wait ?? null,
  groupInterval: raw.group_interval ?? null,
  repeatInterval: raw.repeat_interval ?? null,
  muteIntervals: raw.mute_time_intervals,
  activeIntervals: raw.active_time_intervals,
  routes: raw.routes.map(toRoute),
})

export const inhibitRuleSchema = z
  .strictObject({
    name: z.string().default(''),
    source_match: mapSchema('='),
    source_match_re: mapSchema('=~'),
    source_matchers: matchersSchema,
    target_match: mapSchema('='),
    target_match_re: mapSchema('=~'),
    target_matchers: matchersSchema,
    equal: names,
  })
  .transform(
    (r): InhibitRuleConfig => ({
      name: r.name,
      sources: [...r.source_match, ...r.source_match_re, ...r.source_matchers],
      targets: [...r.target_match, ...r.target_match_re, ...r.target_matchers],
      equal: r.equal,
    }),
  )
