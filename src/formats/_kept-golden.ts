/**
 * What was found out about an image file, kept for the next conversion of it: its map, its name, and
 * the digest of its content once somebody needed that. It holds for as long as the file's stamp is the
 * same. One file for each image: a line of JSON, then the map as `DiskMap.toBytes` gives it.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isFailure, systemCode } from '../base/failure.ts'
import { writeWholeFile } from '../bytes/whole-file.ts'
import { type DiskMap, parseDiskMap } from './disk-map.ts'
import type { Golden } from './golden.ts'
import type { Image } from './open-image.ts'

interface Known {
  readonly map: DiskMap
  readonly identity: string
  readonly contentDigest?: string | undefined
}

export interface KeptDisk {
  /** What an earlier conversion found, if the file is still the same. */
  readonly known: Known | undefined
  /** Keeps what was found, unless the file was changed meanwhile. */
  keep(found: Pick<Golden, 'map' | 'identity'> & { contentDigest?: string }): Promise<void>
}

/**
 * A file that was changed so lately can be changed again without another time stamp, milliseconds: the
 * kernel's clock for those ticks every 10 at least.
 */
const SETTLED_MS = 20n
const NS_PER_MS = 1_000_000n

/** What is kept in `directory` about an image that was opened in the place. */
export async function openKeptDisk(directory: string, image: Image): Promise<KeptDisk> {
  const { path, format } = image
  const before = await stampOf(path)
  const name = createHash('sha256').update(before.file).digest('hex').slice(0, 32)
  const place = join(directory, `${name}.map`)
  return {
    known: await readKept(place, `${format} ${before.stamp}`, image.disk.size),
    keep: async ({ map, identity, contentDigest }) => {
      const now = await stampOf(path)
      if (now.stamp !== before.stamp || !before.isSettled) return
      const head = { stamp: `${format} ${before.stamp}`, identity, contentDigest }
      await mkdir(directory, { recursive: true })
      await writeWholeFile(
        place,
        'keep',
        async (file) => {
          await file.appendFile(`${JSON.stringify(head)}\n`)
          await file.appendFile(map.toBytes())
        },
        { sync: false },
      )
    },
  }
}

/** Which file it is, and another text whenever it was written to. */
async function stampOf(path: string): Promise<{ file: string; stamp: string; isSettled: boolean }> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
  const settledAt = (ctimeNs > mtimeNs ? ctimeNs : mtimeNs) / NS_PER_MS + SETTLED_MS
  return {
    file: `${dev} ${ino}`,
    stamp: [dev, ino, size, mtimeNs, ctimeNs].join(' '),
    isSettled: settledAt < BigInt(Date.now()),
  }
}

/** What is damaged, or of another file, is as good as nothing. */
async function readKept(place: string, stamp: string, size: number): Promise<Known | undefined> {
  try {
    const bytes = await readFile(place)
    const end = bytes.indexOf('\n')
    const head: unknown = JSON.parse(bytes.toString('utf8', 0, end))
    if (!isHead(head) || head.stamp !== stamp) return undefined
    const map = parseDiskMap(bytes.subarray(end + 1), place)
    return map.size === size ? { ...head, map } : undefined
  } catch (error) {
    const isDamaged = error instanceof SyntaxError || isFailure(error, 'IMAGE_UNSAFE')
    if (isDamaged || systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

interface Head {
  readonly stamp: string
  readonly identity: string
  readonly contentDigest?: string
}

function isHead(value: unknown): value is Head {
  if (typeof value !== 'object' || value === null) return false
  const { stamp, identity, contentDigest } = value as Record<string, unknown>
  return (
    typeof stamp === 'string' &&
    isDigest(identity) &&
    (contentDigest === undefined || isDigest(contentDigest))
  )
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}
