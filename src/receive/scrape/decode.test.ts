import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { instant } from '../../lib/time.ts'
import { isStaleAt, wordsOf } from '../../model/batch.ts'
import { BatchBuilder, defaultAdmission } from '../../model/batch-builder.ts'
import { readExemplar } from '../../model/exemplar.ts'
import { labelsOf, printLabels } from '../../model/labels.ts'
import { rowBytes } from '../../model/packed-rows.ts'
import { SeriesTable } from '../../model/series.ts'
import { ScrapeDecoder } from './decode.ts'
import type { Format } from './line.ts'
import { readNumber } from './number.ts'

const at = instant(1_700_000_000_000)
const kit = (sampleLimit = 0, honor = true) => {
  const table = new SeriesTable(1000)
  const decoder = new ScrapeDecoder({
    finish: (m) => (m.get('__name__') === 'dropme' ? null : labelsOf(Object.fromEntries(m))),
    honorTimestamps: () => honor,
    sampleLimit: () => sampleLimit,
  })
  const read = (text: string, format: Format = 'text', now = at) => {
    const builder = new BatchBuilder(table, defaultAdmission, now)
    const counts = decoder.decode(text, format, builder, now)
    const batch = builder.build()
    const words = wordsOf(batch.value)
    const samples = [...batch.ref].map((ref, i) => [
      printLabels(table.labels(ref)),
      batch.at[i]! - now,
      isStaleAt(words, i) ? 'stale' : batch.value[i],
    ])
    return { counts, samples, metadata: batch.metadata, builder }
  }
  return { table, decoder, read }
}

describe('numbers', () => {
  test.each([
    ['1', 1],
    ['-0.5', -0.5],
    ['0.1', 0.1],
    ['123456789.987654', 123456789.987654],
    ['1e3', 1000],
    ['+Inf', Number.POSITIVE_INFINITY],
    ['-inf', Number.NEGATIVE_INFINITY],
    ['NaN', Number.NaN],
    ['1.7976931348623157e308', 1.7976931348623157e308],
    ['12345678901234567890', 1.2345678901234567e19],
    ['.5', 0.5],
    ['5.', 5],
    ['', null],
    ['-', null],
    ['.', null],
    ['0x10', null],
    ['1_000', null],
    ['1.2.3', null],
    ['Infinity!', null],
  ])('%s', (text, value) => expect(readNumber(text, 0, text.length)).toEqual(value))

  test('every double that is printed is read back to the same bits', () => {
    const seed = randomInt(2 ** 31)
    process.stdout.write(`number seed ${seed}\n`)
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.integer({ min: 0, max: 8 }), (v, digits) => {
        const text = Object.is(v, -0) ? '-0' : String(v)
        expect(readNumber(text, 0, text.length)).toBe(v)
        const fixed = Math.abs(v) < 1e15 ? v.toFixed(digits) : '0'
        expect(readNumber(fixed, 0, fixed.length)).toBe(Number(fixed))
      }),
      { seed, numRuns: 3000 },
    )
  })
})

test('text format: labels, escapes, times, metadata, blanks', () => {
  const { read } = kit()
  const { samples, counts, metadata } = read(`# HELP http_total Total\\nrequests \\\\ all
# TYPE http_total counter
http_total{method="post",code="200"} 1027 ${at - 5000}
http_total {method="a\\"b\\\\c\\nd", code="}" ,} 3

# just a comment
  msdos{path="C:\\\\DIR é"} 1.458255915e9
plain 12.47
bad_nan NaN
inf{le="+Inf"} +Inf
dropme 1
`)
  expect(samples).toEqual([
    ['http_total{code="200", method="post"}', -5000, 1027],
    ['http_total{code="}", method="a\\"b\\\\c\\nd"}', 0, 3],
    ['msdos{path="C:\\\\DIR é"}', 0, 1.458255915e9],
    ['plain', 0, 12.47],
    ['bad_nan', 0, Number.NaN],
    ['inf{le="+Inf"}', 0, Number.POSITIVE_INFINITY],
  ])
  expect(counts).toEqual({ scraped: 7, kept: 6, added: 6 })
  expect(metadata).toEqual([
    { metric: 'http_total', type: 'counter', help: 'Total\nrequests \\ all', unit: '' },
  ])
})

test('OpenMetrics: times in seconds, exemplars beside samples, UTF-8 names, units', () => {
  const { read } = kit()
  const { samples, metadata } = read(
    `# TYPE foo counter
# UNIT foo seconds
# HELP foo Sum of "foo".
foo_total{a="b"} 17.0 ${(at - 1500) / 1000} # {trace_id="x}y"} 0.67 1520879607.789
foo_created{a="b"} 1520872607.123
{"my.metric", "a.b"="c"} 2
# TYPE "my.metric" gauge
# EOF
`,
    'openmetrics',
  )
  expect(samples).toEqual([
    ['foo_total{a="b"}', -1500, 17],
    ['foo_created{a="b"}', 0, 1520872607.123],
    ['my.metric{a.b="c"}', 0, 2],
  ])
  expect(metadata.map((m) => [m.metric, m.type, m.unit])).toEqual([
    ['foo_total', 'counter', 'seconds'],
    ['my.metric', 'gauge', ''],
  ])
})

test('exemplars are kept once, at their own time or that of the sample', () => {
  const { table, decoder } = kit()
  const exemplars = (text: string, now: number) => {
    const builder = new BatchBuilder(table, defaultAdmission, instant(now))
    decoder.decode(`${text}# EOF\n`, 'openmetrics', builder, now)
    const rows = builder.build().exemplars
    return [...(rows?.ref ?? [])].map((ref, i) => [
      printLabels(table.labels(ref)),
      readExemplar(rowBytes(rows!, i), rows!.at[i]! - now),
    ])
  }
  const body = `a_total 1 # {trace_id="t1",x="y\\"}"} 0.5 ${(at - 1500) / 1000}\nb_total 1 # {span_id="s"} 2\ndropme 1 # {} 1\n`
  expect(exemplars(body, at)).toEqual([
    ['a_total', { at: -1500, value: 0.5, labels: ['trace_id', 't1', 'x', 'y"}'] }],
    ['b_total', { at: 0, value: 2, labels: ['span_id', 's'] }],
  ])
  expect(exemplars(body, at + 1000)).toEqual([])
  expect(exemplars(body.replace('t1', 't2'), at + 2000)).toHaveLength(1)
})

test.each<[Format, string, RegExp]>([
  ['text', 'a 1\nb{x="1" 2\n', /^line 2: the braces/],
  ['text', 'a\n', /^line 1: a blank is missing/],
  ['text', 'a x\n', /^line 1: "x" is no value/],
  ['text', 'a 1 1.5\n', /whole milliseconds/],
  ['text', 'a 1 2 3\n', /follows the sample/],
  ['text', 'a{1b="c"} 1\n', /no label name/],
  ['text', 'a{b="c",b="d"} 1\n', /stands twice/],
  ['text', 'a{b=c} 1\n', /not quoted/],
  ['text', '1a 1\n', /no metric name/],
  ['text', '{a="b"} 1\n', /has no name/],
  ['text', 'a{b="c"}1\n', /a blank is missing/],
  ['text', '# TYPE a thing\n', /no metric type/],
  ['openmetrics', 'a 1\n', /without # EOF/],
  ['openmetrics', 'a 1\n# EOF\na 2\n', /after # EOF/],
  ['openmetrics', 'a 1\n\n# EOF\n', /line 2: OpenMetrics has no blank lines/],
  ['openmetrics', '# huh\n# EOF\n', /wants TYPE/],
  ['openmetrics', 'a 1\n# E', /cut off/],
  ['openmetrics', 'a 1 # {x="y"}\n# EOF\n', /exemplar must have a value/],
])('%s refuses %j', (format, text, why) => {
  expect(() => kit().read(text, format)).toThrow(why)
})

test('what vanishes gets a stale marker once, also when lines change places', () => {
  const { read } = kit()
  read('a 1\nb 2\nc{x="1"} 3\n')
  expect(read('c{x="1"} 4\na 5\n').samples).toEqual([
    ['c{x="1"}', 0, 4],
    ['a', 0, 5],
    ['b', 0, 'stale'],
  ])
  expect(read('c{x="1"} 4\na 5\n').samples).toHaveLength(2)
  // A prefix of a known text is another series.
  expect(read('c{x="1"} 4\nab 5\n').counts.added).toBe(1)
})

test('the same series in another spelling is not stale; one with its own time never is', () => {
  const { read } = kit()
  read(`a{x="1",y="2"} 1\nt 1 ${at}\n`)
  expect(read('a{y="2",x="1"} 2\n').samples).toEqual([['a{x="1", y="2"}', 0, 2]])
})

test('a failed scrape leaves what was live to be ended', () => {
  const { read, decoder, table } = kit()
  read('a 1\nb 1\n')
  expect(() => read('a 2\nz 1\nb{ 1\n')).toThrow('line 3')
  const builder = new BatchBuilder(table, defaultAdmission, at)
  expect(decoder.series.end(builder, at)).toBe(2)
  expect(decoder.series.end(builder, at)).toBe(0)
  expect(read('a 2\nb 1\n').samples).toHaveLength(2)
})

test('sample_limit refuses the whole scrape', () => {
  expect(() => kit(2).read('a 1\nb 1\nc 1\n')).toThrow('3 samples after relabelling, more than 2')
})

test('any text is read or refused with its line, never anything else', () => {
  const seed = randomInt(2 ** 31)
  process.stdout.write(`exposition seed ${seed}\n`)
  const piece = fc.oneof(
    fc.constantFrom(
      'a',
      'b_total',
      '{',
      '}',
      '"',
      '\\',
      ',',
      '=',
      ' ',
      '\n',
      '# TYPE a counter\n',
      '# EOF\n',
      '# {',
      '1',
      'NaN',
      '1.5',
      '\t',
      '\r\n',
      'x="y"',
      'é',
    ),
    fc.string({ maxLength: 4 }),
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 40 }),
      fc.constantFrom<Format>('text', 'openmetrics'),
      (pieces, format) => {
        const { read } = kit()
        try {
          const first = read(pieces.join(''), format)
          expect(first.counts.scraped).toBeGreaterThanOrEqual(first.counts.kept)
        } catch (error) {
          expect((error as Error).message).toMatch(/^line \d+: /)
        }
      },
    ),
    { seed, numRuns: 5000 },
  )
})

test('a known target is read the same as a fresh one', () => {
  const seed = randomInt(2 ** 31)
  process.stdout.write(`cache seed ${seed}\n`)
  const line = fc.tuple(
    fc.constantFrom('a', 'ab', 'a{x="1"}', 'a{x="1",y="2"}', 'a {x="1"}', 'b'),
    fc.integer(),
  )
  const body = fc.uniqueArray(line, { selector: ([s]) => s, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(body, { minLength: 2, maxLength: 5 }), (bodies) => {
      const known = kit()
      for (const lines of bodies) {
        const text = lines.map(([s, v]) => `${s} ${v}\n`).join('')
        const kept = known.read(text).samples.filter((s) => s[2] !== 'stale')
        expect(kept).toEqual(kit().read(text).samples)
      }
    }),
    { seed, numRuns: 1000 },
  )
})
