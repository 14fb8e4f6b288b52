// Names the place of a wrong value in a JSON text: looked for only once something is wrong.
import { AppError, messageOf } from '../../lib/errors.ts'

/** A value at a byte that is not what its field wants; `want` is null where the text is no JSON. */
export class Wrong extends Error {
  readonly at: number
  readonly want: string | null
  constructor(at: number, want: string | null) {
    super()
    this.at = at
    this.want = want
  }
}

/** The error in words: JSON's own where the text is none, else the place of the value. */
export const explain = (body: Buffer, { at, want }: Wrong): AppError => {
  try {
    JSON.parse(body.toString('utf8'))
  } catch (error) {
    return new AppError('bad_data', `JSON: ${messageOf(error)}`, { cause: error })
  }
  if (want === null) return new AppError('bad_data', `JSON: not understood at byte ${at}`)
  return new AppError('bad_data', `JSON: ${pathAt(body, at) || 'request'} is not ${want}`)
}

/** The path of the value that begins at a byte of a valid JSON text. */
const pathAt = (body: Buffer, at: number): string => {
  const text = body.toString('latin1', 0, at)
  const path: (string | number)[] = []
  let key = ''
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token === '{') path.push('')
    else if (token === '[') path.push(0)
    else if (token === '}' || token === ']') path.pop()
    else if (token === ',') {
      const last = path.at(-1)
      if (typeof last === 'number') path[path.length - 1] = last + 1
    } else {
      key = token.slice(1, -1)
      if (typeof path.at(-1) === 'string') path[path.length - 1] = key
    }
  }
  return path.map((p, i) => (typeof p === 'number' ? `[${p}]` : `${i > 0 ? '.' : ''}${p}`)).join('')
}
