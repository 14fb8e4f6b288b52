import { expect, test } from 'vitest'
import { configSchema } from './config-schema.ts'
import { shownConfig } from './shown-config.ts'

test('what is shown holds no secret, in whatever place and form it was written', () => {
  const env = { A: 'SECRET-a-of-enough-length' }
  const config = configSchema(env).parse({
    access: {
      tokens: [
        { name: 'a', token: { env: 'A' }, roles: ['viewer'] },
        { name: 'b', token: 'SECRET-b-of-enough-length', roles: ['viewer'] },
        { name: 'c', sha256: '5ec3e7'.padEnd(64, '0'), roles: ['viewer'] },
      ],
    },
    actions: {
      webhooks: {
        d: {
          url: 'https://hooks.example.com/SECRET-path?k=SECRET-query',
          secret: 'SECRET-d',
          headers: { 'x-key': 'SECRET-header' },
        },
      },
    },
    oncall: {
      users: { mara: { notify: [{ webhook: 'https://chat/SECRET-chat' }, { pagerduty: 'SECRET-key' }] } },
      policies: { night: { steps: [{ users: ['mara'] }] } },
      ack_secret: 'SECRET-ack-of-enough-length',
    },
    scrape_configs: [
      {
        job_name: 'j',
        basic_auth: { username: 'u', password: 'SECRET-p' },
        http_headers: { 'x-key': { secrets: ['SECRET-x'] } },
      },
    ],
    storage: { clickhouse: { url: 'http://u:SECRET-url@clickhouse:8123', password: 'SECRET-c' } },
    tracing: { endpoint: 'http://u:SECRET-t@127.0.0.1:4318/v1/traces' },
  })
  const text = shownConfig(config)
  expect(text).not.toMatch(/SECRET|5ec3e7/)
  // And still says what is configured.
  const read = JSON.parse(text)
  expect(read.actions.webhooks.d.url).toBe('https://hooks.example.com/<secret>')
  expect(read.storage.clickhouse.url).toBe('http://<secret>@clickhouse:8123')
  expect(read.tracing.endpoint).toBe('http://<secret>@127.0.0.1:4318/v1/traces')
  expect(read.oncall.policies.night.steps[0].users).toEqual(['mara'])
})
