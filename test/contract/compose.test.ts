// docker-compose.yml: valid by Compose's own reading, images pinned, secrets asked for, files that are mounted are there.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readSettings } from '../../src/app/config.ts'

const root = join(fileURLToPath(import.meta.url), '../../..')
const file = join(root, 'docker-compose.yml')
const text = readFileSync(file, 'utf8')
// biome-ignore lint/suspicious/noExplicitAny: a Compose file
const compose: any = parse(text, { merge: true })
// biome-ignore lint/suspicious/noExplicitAny: a Compose file
const services = Object.entries(compose.services) as [string, any][]

const secrets = Object.fromEntries(
  [...text.matchAll(/\$\{(\w+):\?/g)].map((m) => [m[1]!, `secret-of-${m[1]!.toLowerCase()}`]),
)

const commands = [['docker', 'compose'], ['docker-compose']] as const
const found = commands.find(
  ([name, ...args]) => spawnSync(name, [...args, 'version'], { stdio: 'ignore' }).status === 0,
)
if (!found)
  console.warn(
    '\n  SKIPPED: neither `docker compose` nor docker-compose is here; the Compose file is not validated\n',
  )

const config = (env: Record<string, string>) => {
  const [name, ...args] = found!
  return spawnSync(name, [...args, '-f', file, 'config'], {
    env: { PATH: process.env['PATH'], HOME: '/tmp', ...env },
    encoding: 'utf8',
    cwd: '/tmp',
  })
}

describe('docker-compose.yml', () => {
  test.skipIf(!found)('is valid for Compose', () => {
    const { status, stderr, stdout } = config(secrets)
    expect(stderr).not.toMatch(/ERROR|invalid|obsolete/i)
    expect(status).toBe(0)
    expect(Object.keys(parse(stdout).services).sort()).toEqual(services.map(([name]) => name).sort())
  })
  test.skipIf(!found)('does not start with a secret missing, and says which', () => {
    const { GRAFANA_PASSWORD: _, ...others } = secrets
    const { status, stderr } = config(others)
    expect(status).not.toBe(0)
    expect(stderr).toContain('GRAFANA_PASSWORD')
  })
  test('no secret has a value of its own', () => {
    const read = [...text.matchAll(/\$\{(\w+)(:\?)?/g)]
    expect(read.length).toBeGreaterThan(5)
    expect(read.filter((m) => m[2] === undefined).map((m) => m[1])).toEqual([])
  })
  test('images are pinned and come without a registry’s name', () => {
    for (const [name, { image }] of services) {
      expect(image, name).toMatch(/^([a-z0-9-]+\/)?[a-z0-9-]+:\d+(\.\d+)+(-[a-z]+)?$/)
    }
  })
  test('what is mounted is there; what is published is on loopback', () => {
    for (const [name, { volumes = [], ports = [] }] of services) {
      for (const volume of volumes as string[]) {
        const [from] = volume.split(':')
        if (from!.startsWith('.')) expect(existsSync(join(root, from!)), `${name}: ${from}`).toBe(true)
        else expect(Object.keys(compose.volumes), name).toContain(from)
      }
      for (const port of ports as string[]) expect(port, name).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
    }
  })
  test('every service that stays is checked, but the one whose image has nothing to check with', () => {
    const without = services.filter(([name, s]) => name !== 'airboss' && !s.healthcheck).map(([name]) => name)
    expect(without).toEqual(['collector'])
    expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(/^HEALTHCHECK /m)
  })
  test('Airboss’s configuration in it is good, with a token for each who comes in', () => {
    const path = join(root, 'docker/airboss.docker.yaml')
    const { config: read } = readSettings({ config: path }, secrets)
    expect(read.storage.clickhouse).toMatchObject({ url: 'http://clickhouse:8123', cluster: 'airboss' })
    expect(read.access.tokens.map((t) => [t.name, t.token?.reveal()])).toEqual([
      ['console', secrets['AIRBOSS_CONSOLE_TOKEN']],
      ['collector', secrets['AIRBOSS_COLLECTOR_TOKEN']],
      ['grafana', secrets['AIRBOSS_GRAFANA_TOKEN']],
    ])
  })
})
