// What a journal does when it is opened: finds its segments, checks them, cuts a torn tail, sets damage aside.
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError } from './errors.ts'
import { segmentFirst, segmentName } from './journal-format.ts'
import type { JournalFs } from './journal-fs.ts'
import { inspect, type Segment } from './journal-segment.ts'
import type { Logger } from './log.ts'

export interface Damage {
  readonly file: string
  readonly offset: number
  /** Where a copy of the unreadable rest is kept. */
  readonly keptAs: string
}

export interface RecoverOptions {
  readonly dir: string
  readonly log: Logger
  /** What to do about records that were safe once and are unreadable now: refuse to open, or keep the rest apart and go on (default). */
  readonly onDamage?: 'refuse' | 'set_aside'
}

export interface Recovered {
  readonly segments: Segment[]
  readonly damage: readonly Damage[]
  /** Position that the next record gets: never one that was used before. */
  readonly next: number
}

/** Checks every record in `dir` (made when missing), cuts a torn tail, and says what is there. */
export const recover = async (options: RecoverOptions, fs: JournalFs): Promise<Recovered> => {
  await mkdir(options.dir, { recursive: true })
  await fs.syncDir(dirname(options.dir))
  const firsts = (await readdir(options.dir))
    .map(segmentFirst)
    .filter((first) => first !== null)
    .sort((a, b) => a - b)
  const segments: Segment[] = []
  const damage: Damage[] = []
  for (const [i, first] of firsts.entries()) {
    const path = join(options.dir, segmentName(first))
    const { segment, ending } = await inspect(path, first, firsts[i + 1] ?? null)
    if (ending === 'damaged') damage.push(await setAside(segment, options, fs))
    else if (ending === 'gap') tellGap(segment, firsts[i + 1]!, options)
    else if (ending === 'torn') {
      options.log.warn(
        { file: path, offset: segment.size, records: segment.next - segment.first },
        'journal ended in the middle of a write; its tail is cut at the last good record',
      )
    }
    if (ending === 'damaged' || ending === 'torn') await cut(segment, fs)
    if (segment.next > segment.first || (i === firsts.length - 1 && segment.size > 0)) segments.push(segment)
    else await fs.unlink(path)
  }
  await syncLast(segments, fs)
  return { segments, damage, next: Math.max(firsts.at(-1) ?? 1, segments.at(-1)?.next ?? 1) }
}

const tellGap = (segment: Segment, nextFirst: number, options: RecoverOptions): void => {
  const told = `${segment.path} ends at record ${segment.next - 1} and the next segment begins at ${nextFirst}: the records between are gone`
  if (options.onDamage === 'refuse')
    throw new AppError('internal', `${told}. Put the file back from a backup, or move the later ones away`)
  options.log.error({ file: segment.path, offset: segment.size, nextFirst }, 'journal has a gap')
}

const setAside = async (segment: Segment, options: RecoverOptions, fs: JournalFs): Promise<Damage> => {
  const damage: Damage = {
    file: segment.path,
    offset: segment.size,
    keptAs: `${segment.path}.damaged-${segment.size}`,
  }
  if (options.onDamage === 'refuse')
    throw new AppError(
      'internal',
      `${segment.path} is damaged at byte ${segment.size}: records that were safe on disk cannot be read (expected position ${segment.next}). Put the file back from a backup, or move it away to go on without its records`,
    )
  await copyFile(segment.path, damage.keptAs)
  await fs.syncDir(dirname(segment.path))
  options.log.error(damage, 'journal is damaged: the rest of this segment is set aside')
  return damage
}

const cut = async (segment: Segment, fs: JournalFs): Promise<void> => {
  await fs.truncate(segment.path, segment.size)
  const fd = await fs.open(segment.path, 'r+')
  await fs.datasync(fd).finally(() => fs.close(fd))
}

/** What a killed process left in the page cache is read as good, so it is made durable before anybody builds on it. */
const syncLast = async (segments: readonly Segment[], fs: JournalFs): Promise<void> => {
  const last = segments.at(-1)
  if (!last) return
  const fd = await fs.open(last.path, 'r+')
  await fs.datasync(fd).finally(() => fs.close(fd))
}
