import { Failure } from './failure.ts'

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const TiB = 1024 * GiB
export const SECTOR = 512

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: KiB,
  M: MiB,
  G: GiB,
  T: TiB,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: KiB,
  MIB: MiB,
  GIB: GiB,
  TIB: TiB,
}

/**
 * Bytes of a size as people write it: `3G`, `512 MiB`, `1.5GiB`, `4096`. `K M G T` are powers of
 * 1024, as in qemu-img; `KB MB GB TB` are powers of 1000.
 * Fails with USAGE.
 */
export function parseSize(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text)
  const factor = match ? SIZE_UNITS[(match[2] ?? '').toUpperCase()] : undefined
  const size = match && factor !== undefined ? Math.round(Number(match[1]) * factor) : Number.NaN
  if (!Number.isSafeInteger(size) || size < 0)
    throw new Failure(
      'USAGE',
      `'${text}' is not a size; wanted a number with a unit, such as 3G or 512MiB`,
    )
  return size
}

/** `1536` as `1.5 KiB`. */
export function formatSize(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = size
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `83211` as `1m 23s`; `812` as `0.8s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 59_950) return `${(durationMs / 1000).toFixed(1)}s`
  const seconds = Math.round(durationMs / 1000)
  const minutes = Math.floor(seconds / 60)
  const rest = `${String(seconds % 60).padStart(2, '0')}s`
  return minutes < 60
    ? `${minutes}m ${rest}`
    : `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`
}

/** Milliseconds of `90`, `90s`, `5m`, `2h` (a bare number is seconds). Fails with USAGE. */
export function parseDuration(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)?\s*$/.exec(text)
  if (!match)
    throw new Failure(
      'USAGE',
      `'${text}' is not a duration; wanted a number with a unit, such as 90s or 5m`,
    )
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000
  return Math.round(Number(match[1]) * factor)
}
