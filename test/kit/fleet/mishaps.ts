// What goes wrong in any fleet, little by little: a clock that lags, a chart with a typo, an event without an id.

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
  const late = () => ({
    resourceMetrics: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'lagging' } }] },
        scopeMetrics: [
          {
            metrics: [
              {
                name: 'lagging.reading',
                gauge: {
                  dataPoints: [{ timeUnixNano: `${Date.now() - 5 * 3_600_000}000000`, asDouble: 1 }],
                },
              },
            ],
          },
        ],
      },
    ],
  })
  const all = (): Promise<unknown> =>
    Promise.allSettled([
      post(`${at.otlpHttp}/v1/metrics`, late()),
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
