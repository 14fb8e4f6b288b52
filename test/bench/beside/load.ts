// Makes remote write requests ahead of the clock and sends them over a few connections, each with series of its own.
import { Agent, request } from 'node:http'
import snappy from 'snappyjs'

/** `series` × `samples` a request. */
export interface Shape {
  readonly series: number
  readonly samples: number
}

const field = (tag: number, ...bytes: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(bytes)
  return Buffer.concat([Buffer.from([tag * 8 + 2]), varint(body.length), body])
}
const varint = (n: number): Buffer => {
  const out: number[] = []
  let rest = n
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128)
  return Buffer.from([...out, rest])
}
const text = (tag: number, value: string): Buffer => field(tag, Buffer.from(value))

export const totalSeries = 10_000

/** Labels as an exporter's have them: `shard` is one of 20, `x` one of 50, `i` the series' own number. */
const labelsOf = (metric: string, i: number): [string, string][] => [
  ['__name__', metric],
  ['cluster', 'production-eu-1'],
  ['i', String(i)],
  ['instance', `10.0.${i >> 8}.${i & 255}:9100`],
  ['job', 'node-exporter'],
  ['mode', ['idle', 'user', 'system', 'iowait'][i % 4]!],
  ['pod', `node-exporter-${(i * 2654435761) % 100_000}`],
  ['shard', `s${Math.floor(i / 500)}`],
  ['x', `group-${i % 50}`],
]

/** A counter that grows at its own pace and begins again now and then; far enough from zero that no rule about zero matters. */
const counterAt = (i: number, k: number): number => 1_000_000 + i + ((k + i) % 977) * ((i % 17) + 1)

/** Times lie off the 15 s grid by up to 14 s, another offset for each series, so that no window's edge falls on a sample. */
const offsetOf = (i: number, step: number): number =>
  1 + Math.floor((((i * 7919) % 14_000) / 15_000) * (step - 2))

/** One request's bytes with room for samples to be written over: varint times of six bytes and fixed doubles. */
class Template {
  readonly #bytes: Buffer
  readonly #slots: number[] = []
  readonly #first: number
  readonly #shape: Shape

  constructor(metric: string, first: number, shape: Shape) {
    this.#first = first
    this.#shape = shape
    const sample = field(2, Buffer.from([9]), Buffer.alloc(8), Buffer.from([16]), Buffer.alloc(6))
    const parts: Buffer[] = []
    let at = 0
    for (let i = first; i < first + shape.series; i++) {
      const labels = labelsOf(metric, i).map(([n, v]) => field(1, text(1, n), text(2, v)))
      const size = labels.reduce((n, l) => n + l.length, 0)
      const head = varint(size + sample.length * shape.samples)
      parts.push(Buffer.from([10]), head, ...labels, ...Array.from({ length: shape.samples }, () => sample))
      at += 1 + head.length + size
      for (let k = 0; k < shape.samples; k++, at += sample.length) this.#slots.push(at + 3)
    }
    this.#bytes = Buffer.concat(parts)
  }

  /** The request with sample numbers from `k` on; sample 0 lies at `startAt`. */
  body(k: number, startAt: number, step: number): Buffer {
    const bytes = this.#bytes
    const { series, samples } = this.#shape
    let slot = 0
    for (let s = 0; s < series; s++) {
      const i = this.#first + s
      for (let n = k; n < k + samples; n++) {
        const at = this.#slots[slot++]!
        bytes.writeDoubleLE(counterAt(i, n), at)
        let time = Math.floor(startAt + n * step + offsetOf(i, step))
        for (let b = 0; b < 5; b++, time = Math.floor(time / 128)) bytes[at + 9 + b] = (time % 128) + 128
        bytes[at + 14] = time
      }
    }
    return Buffer.from(snappy.compress(bytes))
  }
}

export interface Lane {
  readonly bodies: readonly Buffer[]
}

/** Makes requests of one shape over one set of series, in the order of time. */
export class Load {
  readonly #templates: Template[] = []
  readonly #shape: Shape
  readonly #startAt: number
  readonly #step: number
  #k = 0

  constructor(metric: string, shape: Shape, startAt: number, step: number) {
    this.#shape = shape
    this.#startAt = startAt
    this.#step = step
    for (let first = 0; first < totalSeries; first += shape.series)
      this.#templates.push(new Template(metric, first, shape))
  }

  /** The next `each` samples of every series; a lane's requests must be sent in order, lanes may go side by side. */
  next(each: number, connections: number): Lane[] {
    const lanes = Array.from({ length: connections }, () => ({ bodies: [] as Buffer[] }))
    const end = this.#k + each
    for (; this.#k < end; this.#k += this.#shape.samples)
      for (const [t, template] of this.#templates.entries())
        lanes[t % connections]!.bodies.push(template.body(this.#k, this.#startAt, this.#step))
    return lanes
  }
}

const headers = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'x-prometheus-remote-write-version': '0.1.0',
  'user-agent': 'bench',
}

const post = (agent: Agent, url: string, body: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    const sent = request(
      `${url}/api/v1/write`,
      { agent, method: 'POST', headers: { ...headers, 'content-length': body.length } },
      (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('end', () =>
          answer.statusCode === 204
            ? resolve()
            : reject(new Error(`${url} answered ${answer.statusCode}: ${Buffer.concat(parts).toString()}`)),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })

/** Sends all lanes side by side; resolves when everything is acknowledged. */
export const send = async (url: string, lanes: readonly Lane[]): Promise<void> => {
  const agent = new Agent({ keepAlive: true })
  await Promise.all(
    lanes.map(async ({ bodies }) => {
      for (const body of bodies) await post(agent, url, body)
    }),
  )
  agent.destroy()
}
