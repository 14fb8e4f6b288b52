// OTLP metrics in JSON: written anew in protobuf, and read as such.
import { decodeProtobuf } from './decode-protobuf.ts'
import { metricsRequest } from './json-shapes.ts'
import { jsonToWire } from './json-wire.ts'
import type { PointSink } from './points.ts'

/** Tells `sink` what an ExportMetricsServiceRequest in JSON holds. Throws `bad_data` naming the place; `sink` has then been told nothing. */
export const decodeJson = (body: Buffer, sink: PointSink): void =>
  decodeProtobuf(jsonToWire(body, metricsRequest), sink)
