// The house's own rules: a planted violation of each kind must fail the check that is to catch it.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const planted: string[] = []
const plant = (path: string, text: string): void => {
  const full = join(root, path)
  mkdirSync(dirname(full), { recursive: true })
  writeFileSync(full, text, { flag: 'wx' })
  planted.push(full)
}
afterEach(() => {
  for (const path of planted.splice(0)) rmSync(path)
})

const cruise = (path: string): string =>
  spawnSync(bin('depcruise'), ['--config', '.dependency-cruiser.cjs', '--output-type', 'err', path], {
    cwd: root,
    encoding: 'utf8',
  }).stdout
const lint = (path: string): { status: number | null; said: string } => {
  const r = spawnSync(bin('biome'), ['lint', '--error-on-warnings', path], { cwd: root, encoding: 'utf8' })
  return { status: r.status, said: r.stdout + r.stderr }
}

describe('dependency rules', () => {
  it.each([
    [
      'a door between rooms',
      'src/scale/planted.ts',
      "import type { Fleet } from '../fleet/fleet.ts'\nexport type X = Fleet\n",
      'no-door-between-rooms',
    ],
    [
      'an upward import',
      'src/model/planted.ts',
      "import { build } from '../app/build.ts'\nexport const x = build\n",
      'model-over-lib',
    ],
    [
      'a noun on the ground floor',
      'src/lib/planted.ts',
      "import type { Batch } from '../model/batch.ts'\nexport type X = Batch\n",
      'lib-is-the-ground',
    ],
    [
      'chdb outside the engine',
      'src/query/planted.ts',
      "import * as chdb from 'chdb'\nexport const x = chdb\n",
      'only-the-engine-knows-chdb',
    ],
    [
      'ClickHouse outside the store',
      'src/query/planted.ts',
      "import { createClient } from '@clickhouse/client'\nexport const x = createClient\n",
      'only-store-knows-clickhouse',
    ],
    [
      'the grammar outside query',
      'src/rules/planted.ts',
      "import { parser } from '@prometheus-io/lezer-promql'\nexport const x = parser\n",
      'only-query-knows-the-grammar',
    ],
    [
      'hono in a room',
      'src/rules/planted.ts',
      "import { Hono } from 'hono'\nexport const x = Hono\n",
      'only-surfaces-know-hono',
    ],
    [
      'a room in the console',
      'src/console/planted.ts',
      "import { createRules } from '../rules/rules.ts'\nexport const x = createRules\n",
      'surfaces-through-doors',
    ],
    [
      'I/O in a pure file',
      'src/flags/policy.ts',
      "import { readFileSync } from 'node:fs'\nexport const x = readFileSync\n",
      'pure-files-know-no-io-and-no-clock',
    ],
    [
      'a clock in a pure file',
      'src/flags/judge.ts',
      "import { systemClock } from '../lib/clock.ts'\nexport const x = systemClock\n",
      'pure-files-know-no-io-and-no-clock',
    ],
  ])('finds %s', (_what, path, text, rule) => {
    plant(path, text)
    expect(cruise(path)).toContain(rule)
  })

  it('finds a circle, type-only imports counted', () => {
    plant('src/flags/planted-a.ts', "import type { B } from './planted-b.ts'\nexport type A = B | 1\n")
    plant('src/flags/planted-b.ts', "import type { A } from './planted-a.ts'\nexport type B = A | 2\n")
    expect(cruise('src/flags')).toContain('no-circular')
  })

  it('sees every module of the house', () => {
    const out = execFileSync(
      bin('depcruise'),
      ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'],
      {
        cwd: root,
        encoding: 'utf8',
        maxBuffer: 256 << 20,
      },
    )
    const { summary } = JSON.parse(out) as { summary: { totalCruised: number; error: number } }
    expect(summary.error).toBe(0)
    expect(summary.totalCruised).toBeGreaterThan(200)
  })
})

describe('lint rules', () => {
  it.each([
    ['Date', 'noRestrictedGlobals', 'export const x = (): number => Date.now()\n'],
    ['setTimeout', 'noRestrictedGlobals', 'export const x = (): unknown => setTimeout(() => {}, 1)\n'],
    ['fetch', 'noRestrictedGlobals', "export const x = (): unknown => fetch('http://127.0.0.1')\n"],
    ['process', 'noRestrictedGlobals', 'export const x = (): unknown => process.env\n'],
    ['undici', 'noRestrictedImports', "import { request } from 'undici'\nexport const x = request\n"],
    ['a default export', 'noDefaultExport', 'const x = 1\nexport default x\n'],
    [
      'a floating promise',
      'noFloatingPromises',
      'const f = async (): Promise<void> => {}\nexport const x = (): void => {\n  f()\n}\n',
    ],
    [
      'a function over 60 lines',
      'noExcessiveLinesPerFunction',
      `export const x = (): number => {\n${'  Math.random()\n'.repeat(70)}  return 1\n}\n`,
    ],
    [
      'a file over 400 lines',
      'noExcessiveLinesPerFile',
      `${Array.from({ length: 401 }, (_, i) => `export const x${i} = ${i}`).join('\n')}\n`,
    ],
  ])('refuses %s', (_what, rule, text) => {
    plant('src/flags/planted.ts', text)
    const { status, said } = lint('src/flags/planted.ts')
    expect(status).not.toBe(0)
    expect(said).toContain(rule)
  })
})
