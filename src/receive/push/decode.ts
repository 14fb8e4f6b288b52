// A pushed body in the text format into families.
import { AppError } from '../../lib/errors.ts'
import { labelsKey, labelsOf } from '../../model/labels.ts'
import { isBlank, LineError, readSeries, seriesEnd } from '../scrape/line.ts'
import { readNumber } from '../scrape/number.ts'
import { emptyMetric, type Family, type FamilyType, type Metric, type Pushed } from './family.ts'

interface Draft {
  readonly name: string
  type: FamilyType | null
  help: string | null
  readonly metrics: Map<string, Metric>
  readonly list: Metric[]
}

const types: ReadonlySet<string> = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped'])
const directive = /^#[ \t]+(TYPE|HELP)[ \t]+([^ \t]+)(?:[ \t]+(.*))?$/
const suffix = /_(bucket|sum|count)$/

const unescaped = (text: string): string =>
  text.replace(/\\([\\n])/g, (_, c: string) => (c === 'n' ? '\n' : c))

class Reader {
  readonly #families = new Map<string, Draft>()
  timed = ''

  line(line: string): void {
    if (line.startsWith('#')) this.#comment(line)
    else if (line.trim() !== '') this.#sample(line)
  }

  #family(name: string): Draft {
    let family = this.#families.get(name)
    if (!family) {
      family = { name, type: null, help: null, metrics: new Map(), list: [] }
      this.#families.set(name, family)
    }
    return family
  }

  #comment(line: string): void {
    const m = directive.exec(line)
    if (!m) return
    const family = this.#family(m[2]!)
    const text = m[3] ?? ''
    if (m[1] === 'HELP') {
      if (family.help !== null) throw new LineError(`a second HELP for ${family.name}`)
      family.help = unescaped(text)
      return
    }
    if (family.type !== null || family.list.length > 0)
      throw new LineError(`a second TYPE for ${family.name}, or one after its samples`)
    const type = text.trim().toLowerCase()
    if (!types.has(type)) throw new LineError(`${JSON.stringify(type)} is no metric type`)
    family.type = type as FamilyType
  }

  #sample(line: string): void {
    let from = 0
    while (isBlank(line.charCodeAt(from))) from++
    const end = seriesEnd(line, from, line.length)
    const labels = readSeries(line.slice(from, end))
    const words = line
      .slice(end)
      .trim()
      .split(/[ \t]+/)
    if (words.length > 2)
      throw new LineError(`${JSON.stringify(words.slice(2).join(' '))} follows the sample`)
    const [word = '', time] = words
    const value = readNumber(word, 0, word.length)
    if (value === null || word === '') throw new LineError(`${JSON.stringify(word)} is no value`)
    const name = labels.get('__name__')!
    labels.delete('__name__')
    if (time !== undefined) {
      if (!/^-?\d+$/.test(time)) throw new LineError(`${JSON.stringify(time)} is no time`)
      this.timed ||= name
    }
    this.#put(name, labels, value)
  }

  #put(name: string, labels: Map<string, string>, value: number): void {
    const own = this.#families.get(name)
    const m = own?.type ? null : suffix.exec(name)
    const outer = m ? this.#families.get(name.slice(0, -m[0].length)) : undefined
    const part = m?.[1]
    if (outer?.type === 'histogram' || (outer?.type === 'summary' && part !== 'bucket'))
      this.#part(outer, part!, labels, value)
    else if (own?.type === 'summary') this.#point(own, 'quantile', labels, value)
    else if (own?.type === 'histogram')
      throw new LineError(
        `${name} is a histogram: its samples are ${name}_bucket, ${name}_sum and ${name}_count`,
      )
    else {
      const metric = emptyMetric(labelsOf(Object.fromEntries(labels)))
      metric.value = value
      // Kept although it may stand here twice: that is told when all is looked at together.
      this.#family(name).list.push(metric)
    }
  }

  #metric(family: Draft, labels: Map<string, string>): Metric {
    const sorted = labelsOf(Object.fromEntries(labels))
    const key = labelsKey(sorted)
    let metric = family.metrics.get(key)
    if (!metric) {
      metric = emptyMetric(sorted)
      family.metrics.set(key, metric)
      family.list.push(metric)
    }
    return metric
  }

  #point(family: Draft, label: string, labels: Map<string, string>, value: number): void {
    const text = labels.get(label)
    const bound = text === undefined ? null : readNumber(text, 0, text.length)
    if (bound === null || text === '') throw new LineError(`${family.name} needs ${label} as a number`)
    labels.delete(label)
    const { points } = this.#metric(family, labels)
    if (points.some(([known]) => known === bound))
      throw new LineError(`${family.name} has ${label}=${JSON.stringify(text)} twice`)
    points.push([bound, value])
  }

  #part(family: Draft, part: string, labels: Map<string, string>, value: number): void {
    if (part === 'bucket') this.#point(family, 'le', labels, value)
    else if (part === 'sum') this.#metric(family, labels).sum = value
    else this.#metric(family, labels).count = value
  }

  done(): Pushed {
    const families = [...this.#families.values()]
      .filter((f) => f.list.length > 0)
      .map(({ name, type, help, list }): Family => {
        for (const metric of list) metric.points.sort(([a], [b]) => a - b)
        return { name, type: type ?? 'untyped', help: help ?? '', metrics: list }
      })
    return { families, timed: this.timed }
  }
}

/** Text format 0.0.4. Throws `bad_data` naming the line. */
export const decodeText = (text: string): Pushed => {
  const reader = new Reader()
  const lines = text.split('\n')
  if (lines.pop() !== '') throw new AppError('bad_data', 'the last line has no newline; the body was cut off')
  for (const [i, line] of lines.entries()) {
    try {
      reader.line(line.endsWith('\r') ? line.slice(0, -1) : line)
    } catch (error) {
      if (error instanceof LineError)
        throw new AppError('bad_data', `text format: line ${i + 1}: ${error.message}`)
      throw error
    }
  }
  return reader.done()
}
