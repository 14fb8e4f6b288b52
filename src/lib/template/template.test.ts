import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createTemplate, createTemplateSet } from './template.ts'

interface Golden {
  readonly text: string
  readonly result: string
  readonly error?: string
}
const golden = readFileSync(new URL('../../../test/rules/golden/go-templates.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Golden)

const data = {
  name: 'mara',
  n: 3n,
  f: 1234567,
  half: 0.5,
  small: 0.00001234,
  t: true,
  list: ['a', 'b', 'c'],
  empty: [],
  labels: new Map([
    ['job', 'node'],
    ['instance', 'h1:9100'],
  ]),
  nested: { x: { y: 'deep' } },
}

/** Where we are kinder than Go on purpose. */
const kinder = new Map([['{{ eq .n 3.0 }}', 'true']])

describe('renders as Go does', () => {
  it.each(golden.filter((g) => !g.error && !kinder.has(g.text)))('$text', ({ text, result }) => {
    expect(createTemplate(text, 't').render(data)).toBe(result)
  })
  it.each(golden.filter((g) => g.error && !kinder.has(g.text)))('refuses $text', ({ text }) => {
    expect(() => createTemplate(text, 't').render(data)).toThrow(/^template t:1:\d+: /)
  })
  it.each([...kinder])('takes %s', (text, result) => {
    expect(createTemplate(text, 't').render(data)).toBe(result)
  })
})

it('names line and column of a mistake', () => {
  expect(() => createTemplate('a\nb {{ if .x }}\n  {{ nope 1 }}{{ end }}', 'summary')).toThrow(
    'template summary:3:6: function "nope" is not defined',
  )
  expect(() => createTemplate('a\n{{ .x.y }}', 's').render({ x: 'text' })).toThrow(
    'template s:2:4: cannot take field y of a value of type string',
  )
})

it('stops endless templates', () => {
  const recursive = '{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}'
  expect(() => createTemplate(recursive, 't').render(1)).toThrow('more than 100 deep')
  expect(() => createTemplate('{{ range 1000000000 }}{{ end }}', 't').render(1)).toThrow(
    'more than 100000 steps',
  )
  const doubling = `{{ $x := "0123456789" }}${'{{ $x = print $x $x }}'.repeat(40)}`
  expect(() => createTemplate(doubling, 't').render(1)).toThrow(/more than/)
  expect(() => createTemplate('{{ range 90000 }}0123456789012345{{ end }}', 't').render(1)).toThrow(
    'writes more than',
  )
  expect(() => createTemplate(`{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`, 't')).toThrow('nest deeper')
})

it('reads nothing inherited', () => {
  expect(createTemplate('{{ .constructor }}{{ .__proto__ }}{{ .toString }}', 't').render({})).toBe(
    '<no value><no value><no value>',
  )
})

it('waits for functions that answer later, also inside blocks and pipelines', async () => {
  const functions = {
    later: async (x: number) => [x, x + 1],
    fails: async () => Promise.reject(new Error('down')),
  }
  const template = createTemplate(
    '{{ range later 4 }}<{{ . }}>{{ end }}{{ with later 1 | len }}{{ . }}{{ end }}',
    't',
    functions,
  )
  expect(await template.renderAsync({})).toBe('<4><5>2')
  expect(() => template.render({})).toThrow('renderAsync')
  await expect(createTemplate('a {{ fails }}', 't', functions).renderAsync({})).rejects.toThrow(
    'template t:1:6: error calling fails: down',
  )
})

it('calls methods of records, and prints those that know how', () => {
  const at = { Format: (layout: string, more = '') => `at ${layout}${more}`, String: () => 'noon' }
  expect(
    createTemplate(
      '{{ .at.Format "15:04" }} {{ .at }} {{ .at | printf "%s" }} {{ (.at).Format "x" "y" }}',
      't',
    ).render({ at }),
  ).toBe('at 15:04 noon noon at xy')
})

it('shares definitions in a set, lets a template bring its own, and knows the missing key of Alertmanager', () => {
  const set = createTemplateSet({}, { missingKey: 'zero', include: 'tmpl' })
  set.add('{{ define "title" }}[{{ .status }}{{ .missing }}]{{ end }}{{ define "two" }}2{{ end }}', 'a.tmpl')
  set.add('{{ define "two" }}two{{ end }}', 'b.tmpl')
  const data2 = { status: 'firing' }
  expect(set.compile('{{ template "title" . }}{{ template "two" }}', 'x').render(data2)).toBe('[firing]two')
  expect(set.compile('{{ define "two" }}own{{ end }}{{ tmpl "two" . | len }}', 'x').render(data2)).toBe('3')
  expect(set.compile('{{ template "two" }}', 'x').render(data2)).toBe('two')
  expect(set.has('title')).toBe(true)
})

it('fails on a missing key when told so', () => {
  expect(() => createTemplate('{{ .a }}', 't', {}, { missingKey: 'error' }).render({})).toThrow(
    'no entry for key "a"',
  )
})

it('gives variables beside the data, in the outermost template only', () => {
  const options = { variables: ['$labels', '$value'] }
  expect(
    createTemplate('{{ $labels.job }} {{ $value }}', 't', {}, options).render(
      {},
      { $labels: { job: 'n' }, $value: 5 },
    ),
  ).toBe('n 5')
  expect(() => createTemplate('{{ define "x" }}{{ $value }}{{ end }}', 't', {}, options)).toThrow(
    'undefined variable $value',
  )
})

it('prints whole numbers of data where Go wants integers', () => {
  expect(createTemplate('{{ printf "%d %03d" .n .n }}', 't').render({ n: 7 })).toBe('7 007')
})

it('prints infinities and NaN as Go does', () => {
  const v = { inf: Number.POSITIVE_INFINITY, neg: Number.NEGATIVE_INFINITY, nan: Number.NaN }
  const text =
    '{{ printf "%.4g|%v|%f|%5.1f|%05.1f|%+v|%e|%6v|%06v|% v|%+.1f" .inf .inf .inf .neg .inf .nan .nan .inf .nan .nan .inf }} {{ .inf }}'
  expect(createTemplate(text, 't').render(v)).toBe(
    '+Inf|+Inf|+Inf| -Inf| +Inf|NaN|NaN|  +Inf|   NaN| NaN|+Inf +Inf',
  )
})
