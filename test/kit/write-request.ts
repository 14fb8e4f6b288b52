// Encodes samples as Prometheus remote write 1.0 sends them, for tests that talk to a running product.
import snappy from 'snappyjs'
import { bytesField } from '../../src/lib/protobuf.ts'

export interface SentSeries {
  readonly labels: Readonly<Record<string, string>>
  /** Value, and time in milliseconds. */
  readonly samples: readonly (readonly [number, number])[]
  readonly exemplars?: readonly SentExemplar[]
}

export interface SentExemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Milliseconds. */
  readonly at: number
}

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  let rest = BigInt(Math.trunc(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

const sample = ([value, at]: readonly [number, number]): Buffer => {
  const double = Buffer.alloc(9)
  double[0] = 0x09
  double.writeDoubleLE(value, 1)
  return Buffer.concat([double, Buffer.from([0x10]), varint(at)])
}

const labelsField = (labels: Readonly<Record<string, string>>): Buffer[] =>
  Object.keys(labels)
    .sort()
    .map((name) => bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, labels[name]!)])))

const exemplar = ({ labels, value, at }: SentExemplar): Buffer => {
  const double = Buffer.alloc(9)
  double[0] = 0x11
  double.writeDoubleLE(value, 1)
  return Buffer.concat([...labelsField(labels), double, Buffer.from([0x18]), varint(at)])
}

/** A WriteRequest, not yet compressed. */
export const writeRequest = (series: readonly SentSeries[]): Buffer =>
  Buffer.concat(
    series.map(({ labels, samples, exemplars = [] }) =>
      bytesField(
        1,
        Buffer.concat([
          ...labelsField(labels),
          ...samples.map((s) => bytesField(2, sample(s))),
          ...exemplars.map((e) => bytesField(3, exemplar(e))),
        ]),
      ),
    ),
  )

/** What a sender posts, with its headers. */
export const writeBody = (
  series: readonly SentSeries[],
): { readonly body: Uint8Array<ArrayBuffer>; readonly headers: Record<string, string> } => ({
  body: new Uint8Array(snappy.compress(writeRequest(series))),
  headers: {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
  },
})
