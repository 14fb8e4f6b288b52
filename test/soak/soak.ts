// Long simulations, run by hand before a release: their results are committed to docs/.
import { printCanaries } from './canary.ts'

const seed = Number(process.env['SEED'] ?? 20261123)
console.log(`seed ${seed}`)
printCanaries(200, seed)
