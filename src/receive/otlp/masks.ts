// Hides in texts what looks personal or secret: named rules for the usual, and own patterns in RE2, which take linear time.
import { z } from 'zod'
import { messageOf } from '../../lib/errors.ts'
import { replacing } from '../../lib/regex.ts'

/** Changes a text; gives it back as it is where there is nothing to hide. */
export type Mask = (text: string) => string

interface BuiltIn {
  readonly pattern: string
  /** A cheap test without which the pattern cannot match. */
  readonly may: RegExp
  /** How many characters from a match's beginning are meant; 0 for none. */
  readonly accept?: (match: string) => number
}

/** The longest beginning of a match that passes a test: what follows a number may look like more of it. */
const longest =
  (test: (text: string) => boolean) =>
  (match: string): number => {
    for (let end = match.length; end >= 12; end--) {
      const last = match.charCodeAt(end - 1)
      if (last !== 32 && last !== 45 && test(match.slice(0, end))) return end
    }
    return 0
  }
const whole =
  (test: (text: string) => boolean) =>
  (match: string): number =>
    test(match) ? match.length : 0

const digitsOf = (text: string): string => text.replace(/\D/g, '')

/** Luhn's check digit (ISO/IEC 7812-1, annex B). */
const luhn = (match: string): boolean => {
  const digits = digitsOf(match)
  if (digits.length < 13 || digits.length > 19) return false
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    let d = digits.charCodeAt(digits.length - 1 - i) - 48
    if (i % 2 === 1) d = d > 4 ? d * 2 - 9 : d * 2
    sum += d
  }
  return sum % 10 === 0
}

/** The remainder by 97 that an IBAN must leave (ISO 13616). */
const iban = (match: string): boolean => {
  const text = match.replace(/[ -]/g, '').toUpperCase()
  if (text.length < 15 || text.length > 34) return false
  let rest = 0
  for (const c of text.slice(4) + text.slice(0, 4)) {
    const value = Number.parseInt(c, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}

const octets = (match: string): boolean => match.split('.').every((part) => Number(part) < 256)
const phone = (match: string): boolean => {
  const digits = digitsOf(match).length
  return digits >= 8 && digits <= 15
}
// Two colons at least, and not a time of day.
const ipv6 = (match: string): boolean => {
  const groups = match.split(':')
  return match.includes('::') ? groups.length >= 3 && match !== '::' : groups.length === 8
}

const builtIns = {
  email: { pattern: `[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,190}\\.[A-Za-z]{2,24}`, may: /@/ },
  credit_card: { pattern: `\\b\\d(?:[ -]?\\d){12,18}\\b`, may: /\d[ -]?\d{2}/, accept: longest(luhn) },
  iban: {
    pattern: `\\b[A-Za-z]{2}\\d{2}(?:[ -]?[A-Za-z0-9]){11,30}\\b`,
    may: /[A-Za-z]{2}\d{2}/,
    accept: longest(iban),
  },
  ipv4: { pattern: `\\b\\d{1,3}(?:\\.\\d{1,3}){3}\\b`, may: /\d\.\d/, accept: whole(octets) },
  ipv6: {
    pattern: `(?:[0-9A-Fa-f]{0,4}:){2,7}(?:\\d{1,3}(?:\\.\\d{1,3}){3}|[0-9A-Fa-f]{0,4})`,
    may: /:[0-9A-Fa-f]{0,4}:/,
    accept: whole(ipv6),
  },
  phone: {
    pattern: `(?:\\+\\d{1,3}[ ./-]?)?(?:\\(\\d{1,5}\\)[ ./-]?)?\\d{2,5}(?:[ ./-]\\d{2,8}){1,4}\\b|\\+\\d{8,15}\\b`,
    may: /\d[ ./)-]|\+\d/,
    accept: whole(phone),
  },
  jwt: { pattern: `\\beyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*`, may: /eyJ/ },
  bearer_token: { pattern: `(?i)\\b(?:bearer|basic)\\s+[A-Za-z0-9._~+/=-]{8,}`, may: /bearer|basic/i },
  api_key: {
    pattern:
      `\\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}|\\bgh[pousr]_[A-Za-z0-9]{20,}|\\bxox[abprs]-[A-Za-z0-9-]{10,}` +
      `|\\bAIza[A-Za-z0-9_-]{30,}|\\bglpat-[A-Za-z0-9_-]{16,}` +
      `|(?i:\\b(?:api[-_]?key|secret|token|password)["']?\\s*[:=]\\s*["']?[A-Za-z0-9._~+/-]{8,})`,
    may: /sk[-_]|pk[-_]|rk[-_]|gh[pousr]_|xox|AIza|glpat|key|secret|token|password/i,
  },
  aws_key: {
    pattern: `\\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\\b|(?i:aws.{0,20}secret.{0,20}[:=]\\s*["']?[A-Za-z0-9/+]{40})`,
    may: /AKIA|ASIA|AROA|AIDA|aws/i,
  },
} satisfies Record<string, BuiltIn>

const names = Object.keys(builtIns) as [keyof typeof builtIns, ...(keyof typeof builtIns)[]]

/** One rule: a built-in by name, or a pattern of one's own and what stands in its place. */
export const maskRuleSchema = z.union([
  z.enum(names),
  z
    .strictObject({ pattern: z.string().min(1), replacement: z.string().default('<hidden>') })
    .superRefine(({ pattern }, ctx) => {
      try {
        replacing(pattern, '')
      } catch (error) {
        ctx.addIssue({ code: 'custom', path: ['pattern'], message: messageOf(error) })
      }
    }),
])
export type MaskRule = z.output<typeof maskRuleSchema>

/** All rules one after the other, in their order; null when there are none. */
export const createMask = (rules: readonly MaskRule[]): Mask | null => {
  if (rules.length === 0) return null
  const masks = rules.map((rule): Mask => {
    if (typeof rule !== 'string') return replacing(rule.pattern, rule.replacement)
    const { pattern, may, accept }: BuiltIn = builtIns[rule]
    const replace = replacing(pattern, `<${rule}>`, accept)
    return (text) => (may.test(text) ? replace(text) : text)
  })
  return (text) => masks.reduce((masked, mask) => mask(masked), text)
}
