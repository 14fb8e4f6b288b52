// The file operations that a journal writes with, so that a test can make a disk full or broken.
import { close, fdatasync, fsync, open, write } from 'node:fs'
import { truncate, unlink } from 'node:fs/promises'

export interface JournalFs {
  open(path: string, flags: string): Promise<number>
  /** Writes `bytes` at `position`; may write less, as write(2) may. Returns how many bytes it wrote. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
  datasync(fd: number): Promise<void>
  close(fd: number): Promise<void>
  truncate(path: string, length: number): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes the directory's entries durable. */
  syncDir(path: string): Promise<void>
}

const settle =
  <T>(resolve: (value: T) => void, reject: (error: Error) => void) =>
  (error: Error | null, value: T): void =>
    error ? reject(error) : resolve(value)

const openFile = (path: string, flags: string): Promise<number> =>
  new Promise((resolve, reject) => open(path, flags, 0o640, settle(resolve, reject)))
const closeFile = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => close(fd, (error) => (error ? reject(error) : resolve())))

export const realFs: JournalFs = {
  open: openFile,
  write: (fd, bytes, position) =>
    new Promise((resolve, reject) =>
      write(fd, bytes, 0, bytes.length, position, (error, n) => (error ? reject(error) : resolve(n))),
    ),
  datasync: (fd) =>
    new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve()))),
  close: closeFile,
  truncate,
  unlink,
  syncDir: async (path) => {
    const fd = await openFile(path, 'r')
    try {
      await new Promise<void>((resolve, reject) => fsync(fd, (error) => (error ? reject(error) : resolve())))
    } finally {
      await closeFile(fd)
    }
  },
}
