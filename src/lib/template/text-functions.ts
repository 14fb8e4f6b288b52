// Text functions that Prometheus's and Alertmanager's templates share.
import { RE2JS } from 're2js'

const cache = new Map<string, RE2JS>()
const most = 500

const compiled = (pattern: string): RE2JS => {
  const known = cache.get(pattern)
  if (known) return known
  const made = RE2JS.compile(pattern)
  if (cache.size >= most) cache.delete(cache.keys().next().value ?? '')
  cache.set(pattern, made)
  return made
}

const reference = /\$(?:\$|\{([\p{L}\p{N}_]+)\}|([\p{L}\p{N}_]+))/gu

/** Go's Regexp.ReplaceAllString: `$1`, `${1}`, `$name`, `${name}` and `$$`; an unknown group is empty. */
export const replaceAllGo = (pattern: string, replacement: string, text: string): string => {
  const expression = compiled(pattern)
  const names = expression.namedGroups() as Record<string, number>
  const matcher = expression.matcher(text)
  let out = ''
  let at = 0
  let first = true
  while (matcher.find()) {
    // Go takes no empty match right behind the one before.
    if (!first && matcher.start() === at && matcher.end() === at) continue
    first = false
    const group = (name: string): string => {
      const n = /^\d+$/.test(name) ? Number(name) : Object.hasOwn(names, name) ? names[name]! : -1
      return n >= 0 && n <= matcher.groupCount() ? (matcher.group(n) ?? '') : ''
    }
    out += text.slice(at, matcher.start())
    out += replacement.replace(reference, (whole, braced?: string, bare?: string) =>
      whole === '$$' ? '$' : group((braced ?? bare)!),
    )
    at = matcher.end()
  }
  return out + text.slice(at)
}

/** Whether RE2 `pattern` is found anywhere in the text. */
const matches = (pattern: string, text: string): boolean => compiled(pattern).matcher(text).find()

/** Go's strings.Title: a letter after a separator in upper case; separators are spaces and ASCII signs but `_`. */
export const title = (text: string): string =>
  text.replace(
    /(^|[\p{Z}\s\x21-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7e])(\p{L})/gu,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  )

const needText = (value: unknown): string => {
  if (typeof value !== 'string')
    throw new Error(`wants text, got ${value === undefined || value === null ? 'no value' : typeof value}`)
  return value
}

export const textFunctions = {
  title: (text: unknown) => title(needText(text)),
  toUpper: (text: unknown) => needText(text).toUpperCase(),
  toLower: (text: unknown) => needText(text).toLowerCase(),
  match: (pattern: unknown, text: unknown) => matches(needText(pattern), needText(text)),
  reReplaceAll: (pattern: unknown, replacement: unknown, text: unknown) =>
    replaceAllGo(needText(pattern), needText(replacement), needText(text)),
}
