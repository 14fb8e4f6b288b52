// `airboss test-rules`: promtool's rule tests, run over the real rule machinery and query language.
import { globSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { systemClock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { duration, minute } from '../lib/time.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import { createQuerier } from '../query/querier.ts'
import type { RuleText } from '../rules/rules.ts'
import { type RuleTestResult, runRuleTests } from '../rules/unit-test.ts'
import { createOwnMetrics } from './own-metrics.ts'

/** Tests wait for nothing and nobody: only a query without end runs into these. */
const limits = { timeout: minute, series: 1e6, samples: 50e6, concurrency: 8 }
/** Prometheus's own. */
const lookback = duration(5 * minute)

const makeQuerier = (reader: SeriesReader): Querier =>
  createQuerier({
    reader,
    clock: systemClock,
    limits,
    lookback,
    metrics: createOwnMetrics(),
    log: silentLogger(),
  })

const read = (file: string): RuleText => {
  try {
    return { file, text: readFileSync(file, 'utf8') }
  } catch (error) {
    throw new AppError('bad_data', `${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** The files that a pattern of a test file names; one that names none would test nothing. */
const loadRuleFiles = async (pattern: string, testFile: string): Promise<readonly RuleText[]> => {
  const full = isAbsolute(pattern) ? pattern : join(dirname(testFile), pattern)
  const files = /[*?[{]/.test(pattern) ? globSync(full).sort() : [full]
  if (files.length === 0)
    throw new AppError('bad_data', `${testFile}: no rule file matches ${pattern}; correct rule_files`)
  return files.map(read)
}

/** Runs rule test files; throws `bad_data` for one that cannot be read. */
export const testRules = (files: readonly string[]): Promise<RuleTestResult[]> =>
  runRuleTests(files.map(read), { makeQuerier, loadRuleFiles, clock: systemClock, log: silentLogger() })

/** Prints what came of each file; gives the exit code. */
export const testRulesCommand = async (
  files: readonly string[],
  out: (line: string) => void,
): Promise<number> => {
  if (files.length === 0)
    throw new AppError('bad_data', 'test-rules needs files: airboss test-rules rules/tests/host.test.yaml')
  const results = await testRules(files)
  for (const { file, tests, failures } of results) {
    if (failures.length === 0) out(`${file}: ${tests} ${tests === 1 ? 'test' : 'tests'} passed`)
    else {
      out(`${file}: FAILED`)
      for (const failure of failures) out(`  ${failure}`)
    }
  }
  return results.some((r) => r.failures.length > 0) ? 1 : 0
}
