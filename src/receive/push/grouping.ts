// The grouping key in a push's path: `/metrics/job/<job>{/<label>/<value>…}`, each name perhaps with `@base64`.
import { AppError } from '../../lib/errors.ts'
import { labelsKey, labelsOf } from '../../model/labels.ts'

const marker = '@base64'
const bad = (message: string): AppError => new AppError('bad_data', message)

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw bad(`${JSON.stringify(text)} in the path is not URL-encoded`)
  }
}

/** RFC 4648 with the alphabet for URLs; `=` alone is the empty text. */
const fromBase64 = (text: string, name: string): string => {
  const plain = text.replace(/=+$/, '')
  const bytes = Buffer.from(plain, 'base64url')
  if (!/^[\w-]*$/.test(plain) || plain.length % 4 === 1)
    throw bad(`the value of ${name}${marker} is no base64 in the alphabet for URLs (RFC 4648)`)
  const value = bytes.toString('utf8')
  if (!Buffer.from(value).equals(bytes)) throw bad(`the value of ${name}${marker} is no UTF-8`)
  return value
}

/** Labels of the group a path names, empty ones among them. Throws `bad_data`. */
export const groupingOf = (path: string): Readonly<Record<string, string>> => {
  const parts = path
    .replace(/^\/metrics\//, '')
    .replace(/\/$/, '')
    .split('/')
    .map(decoded)
  if (parts.length % 2 !== 0)
    throw bad(
      `${path}: labels come in pairs, /<label>/<value>; write <label>${marker} for a value with a slash`,
    )
  const labels: Record<string, string> = {}
  for (let i = 0; i < parts.length; i += 2) {
    const written = parts[i]!
    const coded = written.endsWith(marker)
    const name = coded ? written.slice(0, -marker.length) : written
    if (i === 0 && name !== 'job') throw bad('the path begins with /metrics/job/<job>')
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || name.startsWith('__'))
      throw bad(`${JSON.stringify(name)} is no label name for a group`)
    if (i > 0 && name === 'job') throw bad('the group has the label job twice')
    labels[name] = coded ? fromBase64(parts[i + 1]!, name) : parts[i + 1]!
  }
  if (!labels['job']) throw bad('the job name is empty')
  return labels
}

/** The same for the same labels, in whatever order. */
export const groupKey = (labels: Readonly<Record<string, string>>): string =>
  labelsKey(labelsOf({ ...labels }))
