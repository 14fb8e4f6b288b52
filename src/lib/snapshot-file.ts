// A small file that is always whole: written beside, made durable, and moved into place.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { realFs } from './journal-fs.ts'

/** The bytes last written, or null when there is no such file. */
export const readSnapshot = async (path: string): Promise<Buffer | null> => {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Replaces the file in one step; resolves when the new content is durable. After a crash the old or the new one stands, never a part. */
export const writeSnapshot = async (path: string, bytes: string | Uint8Array): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  const beside = `${path}.new`
  try {
    const file = await open(beside, 'w', 0o640)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  await realFs.syncDir(dirname(path))
}
