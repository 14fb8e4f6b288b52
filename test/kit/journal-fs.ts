// Disks that fail on command, for tests of what writes to them.
import { type JournalFs, realFs } from '../../src/lib/journal-fs.ts'

const failure = (code: string): Error => Object.assign(new Error(`${code}: made by the test`), { code })

export interface FaultyFs extends JournalFs {
  /** While set, writes and syncs fail with this code. */
  failWrites: string | null
  failSyncs: string | null
  /** Bytes that the disk still takes; a write past it is cut short, then ENOSPC. */
  room: number
  syncs: number
}

export const faultyFs = (): FaultyFs => {
  const fs: FaultyFs = {
    ...realFs,
    failWrites: null,
    failSyncs: null,
    room: Number.POSITIVE_INFINITY,
    syncs: 0,
    write: async (fd, bytes, position) => {
      if (fs.failWrites) throw failure(fs.failWrites)
      if (fs.room <= 0) throw failure('ENOSPC')
      const part = bytes.subarray(0, Math.min(bytes.length, fs.room))
      const n = await realFs.write(fd, part, position)
      fs.room -= n
      return n
    },
    datasync: async (fd) => {
      fs.syncs++
      if (fs.failSyncs) throw failure(fs.failSyncs)
      await realFs.datasync(fd)
    },
  }
  return fs
}
