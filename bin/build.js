// Makes dist/: the sources as JavaScript, since Node strips no types under node_modules, with the console's assets beside them.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
rmSync(join(root, 'dist'), { recursive: true, force: true })
execFileSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')],
  { stdio: 'inherit' },
)
for (const folder of ['src/console/assets', 'src/console/browser']) {
  if (existsSync(join(root, folder)))
    cpSync(join(root, folder), join(root, 'dist', folder), { recursive: true })
}
