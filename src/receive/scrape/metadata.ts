// TYPE, HELP and UNIT lines of an exposition, gathered by family and told once for as long as they stay the same.
import type { Metadata, MetricType } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { type Format, LineError } from './line.ts'

const textTypes: Readonly<Record<string, MetricType>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
  untyped: 'unknown',
  unknown: 'unknown',
}
const openTypes: Readonly<Record<string, MetricType>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  gaugehistogram: 'gaugehistogram',
  summary: 'summary',
  info: 'info',
  stateset: 'stateset',
  unknown: 'unknown',
}
const keyword = /^#[ \t]*(TYPE|HELP|UNIT)[ \t]+/

interface Family {
  readonly name: string
  type: MetricType
  help: string
  unit: string
}

const unescapeHelp = (text: string): string =>
  text.replace(/\\([\\n"])/g, (_, c: string) => (c === 'n' ? '\n' : c))

export class MetadataLines {
  #families = new Map<string, Family>()
  #format: Format = 'text'
  readonly #told = new Map<string, string>()

  begin(format: Format): void {
    this.#families = new Map()
    this.#format = format
  }

  /** Reads one line that begins with `#`; true when it is OpenMetrics's end of file. Throws LineError. */
  read(line0: string, format: Format): boolean {
    const line = line0.endsWith('\r') ? line0.slice(0, -1) : line0
    if (format === 'openmetrics' && line === '# EOF') return true
    const head = keyword.exec(line)
    if (!head) {
      if (format === 'text') return false
      throw new LineError('after # OpenMetrics wants TYPE, HELP, UNIT or EOF')
    }
    const [name, rest] = this.#name(line.slice(head[0].length))
    if (head[1] === 'TYPE') this.#family(name).type = this.#type(rest, format)
    else if (head[1] === 'HELP') this.#family(name).help = unescapeHelp(rest)
    else if (format === 'openmetrics') this.#family(name).unit = rest
    return false
  }

  #name(text: string): [string, string] {
    const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(text)
    const bare = quoted ? null : /^[^ \t]+/.exec(text)
    const whole = quoted?.[0] ?? bare?.[0]
    if (whole === undefined) throw new LineError('a metric name is missing')
    const name = quoted ? unescapeHelp(quoted[1] ?? '') : whole
    return [name, text.slice(whole.length).replace(/^[ \t]/, '')]
  }

  #type(text: string, format: Format): MetricType {
    const type = (format === 'text' ? textTypes : openTypes)[text.trim()]
    if (!type) throw new LineError(`${JSON.stringify(text.trim())} is no metric type`)
    return type
  }

  /** A family as a format without lines has it. */
  family(name: string, type: MetricType, help: string, unit: string): void {
    Object.assign(this.#family(name), { type, help, unit })
  }

  #family(name: string): Family {
    let family = this.#families.get(name)
    if (!family) {
      family = { name: Buffer.from(name).toString(), type: 'unknown', help: '', unit: '' }
      this.#families.set(family.name, family)
    }
    return family
  }

  /** Puts what is new or has changed into the batch. An OpenMetrics counter is told under the name its samples have. */
  flush(builder: BatchBuilder): void {
    for (const { name, type, help, unit } of this.#families.values()) {
      const metric = this.#format === 'openmetrics' && type === 'counter' ? `${name}_total` : name
      const text = `${type}\n${unit}\n${help}`
      if (this.#told.get(metric) === text) continue
      this.#told.set(metric, text)
      const row: Metadata = { metric, type, help: Buffer.from(help).toString(), unit }
      builder.metadata.push(row)
    }
  }
}
