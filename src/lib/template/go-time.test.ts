import { expect, it } from 'vitest'
import { fromIso, instant } from '../time.ts'
import { formatGoTime, goTime } from './go-time.ts'
import { createTemplate } from './template.ts'
import { replaceAllGo, textFunctions, title } from './text-functions.ts'

const at = fromIso('2026-03-09T08:04:05.120Z')

it.each([
  ['2006-01-02T15:04:05Z07:00', '2026-03-09T08:04:05Z'],
  ['2006-01-02 15:04:05.000 -0700 MST', '2026-03-09 08:04:05.120 +0000 UTC'],
  ['Mon Jan _2 3:04PM 2006', 'Mon Mar  9 8:04AM 2026'],
  ['Monday, 2 January 06 03:04:05.999 pm', 'Monday, 9 March 26 08:04:05.12 am'],
  ['002 1/2', '068 3/9'],
])('formats %s', (layout, text) => {
  expect(formatGoTime(at, layout)).toBe(text)
})

it('formats in a time zone', () => {
  expect(formatGoTime(at, '15:04 -07:00 MST', 'America/New_York')).toBe('04:04 -04:00 EDT')
})

it('gives templates the methods of a time', () => {
  const data = { StartsAt: goTime(at), EndsAt: goTime(instant(at + 3_723_500)) }
  const text =
    '{{ .StartsAt }}|{{ .StartsAt.Unix }}|{{ .EndsAt.Sub .StartsAt }}|{{ .StartsAt.Before .EndsAt }}|{{ .StartsAt.Format "15:04" }}'
  expect(createTemplate(text, 't').render(data)).toBe(
    '2026-03-09 08:04:05.12 +0000 UTC|1773043445|1h2m3.5s|true|08:04',
  )
})

it('replaces with Go references and counts nothing twice', () => {
  expect(replaceAllGo('(?P<host>[a-z]+):(\\d+)', `$${'{host}'}-$2$$-$9`, 'ab:1 cd:2')).toBe('ab-1$- cd-2$-')
  expect(replaceAllGo('(\\w+)', '$1x', 'abc')).toBe('')
  expect(replaceAllGo('', '-', 'ab')).toBe('-a-b-')
  expect(replaceAllGo('a*', 'x', 'baac')).toBe('xbxcx')
})

it('titles words and refuses what is no text', () => {
  expect(title("hello big-world it's o_k")).toBe("Hello Big-World It'S O_k")
  expect(() => textFunctions.toUpper(3)).toThrow('wants text')
})
