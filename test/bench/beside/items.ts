// Traces and logs over OTLP: items a second until they are in the engine's tables. There is no like of it in Prometheus.
import { chatSpans, logRecords, runSpans } from '../../kit/otlp-items.ts'
import { median, type Row, stored } from './measure.ts'
import { type Peer, sleep } from './peers.ts'

const perRequest = 500
const lanes = 4

/** One request after another over each of a few connections. */
const send = async (peer: Peer, signal: string, bodies: readonly Buffer[]): Promise<void> => {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let body = bodies[next++]; body; body = bodies[next++]) {
      const answer = await fetch(`${peer.url}/api/v1/otlp/v1/${signal}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: new Uint8Array(body),
      })
      const said = await answer.text()
      if (answer.status !== 200 || said !== '') throw new Error(`${signal}: ${answer.status} ${said}`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** Sends so many requests of 500 items in each round, every span of its own id. */
export const items = async (peer: Peer, rounds: number, requests: number): Promise<Row[]> => {
  const rows: Row[] = []
  let made = 0
  for (const [signal, make, what] of [
    ['traces', runSpans, "spans of agents' runs"],
    ['traces', chatSpans, 'spans of model calls alone'],
    ['logs', logRecords, 'log records'],
  ] as const) {
    const speed: number[] = []
    const cpu: number[] = []
    for (let round = -1; round < rounds; round++) {
      const bodies = Array.from({ length: round < 0 ? 10 : requests }, () => {
        made += perRequest
        return make(perRequest, made, Date.now() - 60_000)
      })
      // Connections that were closed while the bodies were made are noticed now, not in the first request.
      await sleep(100)
      const before = peer.cpu()
      const begunAt = performance.now()
      await send(peer, signal, bodies)
      await stored(peer)
      if (round < 0) continue
      const n = bodies.length * perRequest
      speed.push(n / ((performance.now() - begunAt) / 1000))
      cpu.push((peer.cpu() - before) / (n / 1e6))
    }
    rows.push(
      { what: `OTLP ${what}: until stored`, unit: 'items/s', airboss: median(speed), prometheus: 0 },
      { what: `OTLP ${what}: CPU`, unit: 'CPU s/1M', airboss: median(cpu), prometheus: 0 },
    )
  }
  return rows
}
