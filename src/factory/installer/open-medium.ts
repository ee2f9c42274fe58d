/** Content that an address names: of the web, or of a file of this host where that may be named. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Context } from '../../base/context.ts'
import { messageOf } from '../../base/failure.ts'
import { type Download, openDownload } from '../../bytes/download.ts'
import { downloadFailure } from '../../bytes/web-request.ts'
import type { Reach } from '../reach.ts'

export interface MediumTuning {
  readonly reach: Reach
  /** Connections that may bring nothing before it is given up, and the pause before the first. As of `openDownload`. */
  readonly retries?: number
  readonly pauseMs?: number
}

/** Whether an address is of a file. */
export function isFileAddress(url: string): boolean {
  return /^file:/i.test(url)
}

/** Fails with DOWNLOAD_FAILED, INTERRUPTED. */
export async function openMedium(
  url: string,
  { reach, retries, pauseMs }: MediumTuning,
  context: Context,
): Promise<Download> {
  if (isFileAddress(url)) {
    if (reach.files) return await openLocal(url)
    throw downloadFailure(url, 'files of this host are not read for templates')
  }
  const tuning = {
    ...(retries !== undefined && { retries }),
    ...(pauseMs !== undefined && { pauseMs }),
  }
  return await openDownload(url, { rules: reach.web, ...tuning }, context)
}

/** A file goes by its place on the disk, its size and its time of change, as a page goes by its ETag. */
async function openLocal(url: string): Promise<Download> {
  try {
    // A pipe would keep us waiting for whoever writes into it.
    const file = await open(fileURLToPath(url), constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = await file.stat()
    if (!stat.isFile()) {
      await file.close()
      throw new Error('this is no file')
    }
    const stream = file.createReadStream()
    return {
      size: stat.size,
      names: { etag: `${stat.dev}-${stat.ino}-${stat.size}-${stat.mtimeMs}` },
      stream,
      cancel: () => void stream.destroy(),
    }
  } catch (error) {
    throw downloadFailure(url, messageOf(error), error)
  }
}
