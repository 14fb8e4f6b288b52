// What goes wrong in any fleet, little by little: a clock that lags, a label that leaks, an exporter that sends twice, a chart with a typo.
import { randomBytes, randomUUID } from 'node:crypto'

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** Makes each mishap once every `every` milliseconds until stopped. */
export const startMishaps = (at: { http: string; otlpHttp: string }, every: number): { stop(): void } => {
  const post = async (url: string, body: unknown): Promise<void> => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5000),
    })
    await answer.arrayBuffer()
  }
  const lagging = { attributes: [{ key: 'service.name', value: { stringValue: 'lagging' } }] }
  const nanos = (at: number): string => `${at}000000`
  const hours = 3_600_000
  const late = () => ({
    resourceMetrics: [
      {
        resource: lagging,
        scopeMetrics: [
          {
            metrics: [
              {
                name: 'lagging.reading',
                gauge: { dataPoints: [{ timeUnixNano: nanos(Date.now() - 5 * hours), asDouble: 1 }] },
              },
            ],
          },
        ],
      },
    ],
  })
  // A request's id among the attributes: each is a series.
  const leak = () => ({
    resourceMetrics: [
      {
        resource: lagging,
        scopeMetrics: [
          {
            metrics: [
              {
                name: 'leaking.requests',
                sum: {
                  aggregationTemporality: 2,
                  isMonotonic: true,
                  dataPoints: Array.from({ length: 15 }, () => ({
                    timeUnixNano: nanos(Date.now()),
                    asDouble: 1,
                    attributes: [{ key: 'request.id', value: { stringValue: randomUUID() } }],
                  })),
                },
              },
            ],
          },
        ],
      },
    ],
  })
  const span = (startAt: number) => ({
    resourceSpans: [
      {
        resource: lagging,
        scopeSpans: [
          {
            spans: [
              {
                traceId: hex(16),
                spanId: hex(8),
                name: 'GET /reading',
                kind: 2,
                startTimeUnixNano: nanos(startAt),
                endTimeUnixNano: nanos(startAt + 20),
                status: { code: 2, message: 'the clock lags' },
              },
            ],
          },
        ],
      },
    ],
  })
  const line = () => ({
    resourceLogs: [
      {
        resource: lagging,
        scopeLogs: [
          {
            logRecords: [
              {
                timeUnixNano: nanos(Date.now() - 400 * 24 * hours),
                body: { stringValue: 'clock set back' },
                severityNumber: 13,
              },
            ],
          },
        ],
      },
    ],
  })
  const twice = span(Date.now())
  const all = (): Promise<unknown> =>
    Promise.allSettled([
      post(`${at.otlpHttp}/v1/metrics`, late()),
      post(`${at.otlpHttp}/v1/metrics`, leak()),
      post(`${at.otlpHttp}/v1/traces`, span(Date.now() - 400 * 24 * hours)),
      post(`${at.otlpHttp}/v1/traces`, twice),
      post(`${at.otlpHttp}/v1/logs`, line()),
      post(`${at.http}/api/ops/v1/events`, { name: 'ticket.closed' }),
      fetch(
        `${at.http}/api/v1/query?query=${encodeURIComponent('up * on (job) group_left up == bool "a"')}`,
      ).then((a) => a.arrayBuffer()),
      fetch(
        `${at.http}/api/v1/query?query=${encodeURIComponent('system_network_io_bytes_total / on () system_network_io_bytes_total')}`,
      ).then((a) => a.arrayBuffer()),
    ])
  const timer = setInterval(() => void all(), every)
  void all()
  return { stop: () => clearInterval(timer) }
}
