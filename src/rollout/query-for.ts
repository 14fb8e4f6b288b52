// A metric's query with one version put in its place.

const version$ = /\$version\b|\{\{\s*version\s*\}\}/g
const agent$ = /\$agent\b|\{\{\s*agent\s*\}\}/g

/** RE2's special characters, made ordinary. */
const literally = (text: string): string => text.replaceAll(/[\\.+*?()|[\]{}^$]/g, '\\$&')
/** As it stands between double quotes. */
const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)
/** Between single quotes PromQL knows `\'` and no `\"`. */
const singleQuoted = (text: string): string => quoted(text).replaceAll('\\"', '"').replaceAll("'", "\\'")

const token = /#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[=!]~|\s+|./gs

/**
 * `$version`, `$agent`, `{{version}}` and `{{agent}}` replaced, escaped for where they stand: in the regular expression of a `=~` or `!~`
 * matcher a version is its own characters only (4.2.7 does not match 4x2x7).
 */
export const queryFor = (query: string, agent: string, version: string): string => {
  const put = (text: string, escaped: (value: string) => string): string =>
    text.replaceAll(version$, () => escaped(version)).replaceAll(agent$, () => escaped(agent))
  let before = ''
  // What is outside of quotes goes in one piece, for `$version` is several tokens.
  let outside = ''
  let out = ''
  const flush = (): void => {
    out += put(outside, quoted)
    outside = ''
  }
  for (const [text] of query.matchAll(token)) {
    const quote = text.length > 1 && '"\'`'.includes(text[0]!) ? text[0]! : ''
    if (quote === '') {
      outside += text
      if (!/^[#\s]/.test(text)) before = text
      continue
    }
    flush()
    const regular = before === '=~' || before === '!~'
    const value = (v: string): string => (regular ? literally(v) : v)
    before = text
    if (quote === '"') out += put(text, (v) => quoted(value(v)))
    else if (quote === "'") out += put(text, (v) => singleQuoted(value(v)))
    else {
      // Between backticks nothing can be escaped, a backtick least of all.
      const raw = put(text.slice(1, -1), value)
      out += raw.includes('`') ? JSON.stringify(raw) : `\`${raw}\``
    }
  }
  flush()
  return out
}
