import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { runProcess } from '../../base/process.ts'
import { parseControl } from '../../guests/control-file.ts'

const APT_HELPER = '/usr/lib/apt/apt-helper'

/**
 * When the release in a mirror was made. In a stable release that is its last point release, each of
 * which changes the package `base-files` that no system is without: so builds from the same packages
 * find the same date, whatever came into the archive in between.
 * Fails with DOWNLOAD_FAILED, TOOL_MISSING.
 */
export async function fetchReleaseDate(
  mirror: string,
  release: string,
  options: { scratch: string; environment: Readonly<Record<string, string>> },
  context: Context,
): Promise<Date> {
  let reason = ''
  for (const name of ['InRelease', 'Release']) {
    const url = `${mirror.replace(/\/+$/, '')}/dists/${release}/${name}`
    const file = join(options.scratch, name)
    const limits = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=20']
    const result = await runProcess([APT_HELPER, ...limits, 'download-file', url, file], {
      env: options.environment,
      signal: context.signal,
    })
    if (result.code === 0) return parseReleaseDate(await readFile(file, 'utf8'), url)
    reason ||= /^E: Failed to fetch .*/m.exec(result.stderr.toString())?.[0] ?? ''
  }
  throw new Failure(
    'DOWNLOAD_FAILED',
    `the mirror ${mirror} does not give the release ${release}: ${reason.replace(/^E: /, '')}`,
    { details: { mirror, release } },
  )
}

/** The date in a Release file; it may be signed. Fails with DOWNLOAD_FAILED. */
export function parseReleaseDate(text: string, url: string): Date {
  const dates = parseControl(text).map((stanza) => new Date(stanza.get('date') ?? Number.NaN))
  const date = dates.find((one) => !Number.isNaN(one.getTime()))
  if (date) return date
  throw new Failure('DOWNLOAD_FAILED', `${url} has no date, so it is not a Release file`)
}
