// A directory that goes away with the test.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export const tempDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
