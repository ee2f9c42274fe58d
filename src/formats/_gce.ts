/**
 * What Google Compute Engine imports, as it passes by: a tar archive, compressed by gzip, with the one
 * member `disk.raw`, a raw disk whose holes the archive may leave out.
 * Source: Google Cloud, "Manually import boot disks"; GNU tar, "Storing Sparse Files".
 */
import { formatSize, GiB } from '../base/units.ts'
import type { FindingList } from './_findings.ts'
import type { ExtentSink } from './_parse-stream.ts'
import type { SparseRuns } from './_sparse-runs.ts'
import { type MemberSink, type TarMember, TarWalk } from './tar.ts'

const MEMBER = 'disk.raw'

export interface GceOptions {
  readonly findings: FindingList
  /** Bytes that the disk may have. */
  readonly virtualSize: number
  readonly sink: ExtentSink
}

/** One pass over such an archive, which comes unpacked and in chunks of any size. */
export class GceWalk {
  readonly #options: GceOptions
  readonly #tar: TarWalk
  #size: number | undefined

  constructor(options: GceOptions) {
    this.#options = options
    this.#tar = new TarWalk({
      findings: options.findings,
      sparse: true,
      onMember: (member) => this.#begin(member),
    })
  }

  push(chunk: Uint8Array): Promise<void> {
    return this.#tar.push(chunk)
  }

  /** The archive has ended: bytes of its disk; undefined if it has none. */
  end(): number | undefined {
    const whole = this.#tar.end()
    const size = this.#size
    const { findings } = this.#options
    if (size === undefined)
      findings.note('NESTED_FORMAT', { found: `a tar archive without ${MEMBER}` })
    else if (whole && size % GiB !== 0)
      findings.note('ODD', {
        found: `a disk of ${size} bytes`,
        expected: 'whole GiB, which Compute Engine wants',
      })
    return size
  }

  #begin({ name, at, size, sparse }: TarMember): MemberSink | undefined {
    const { findings, virtualSize, sink } = this.#options
    if (name !== MEMBER || this.#size !== undefined) {
      findings.note('ARCHIVE_MEMBER', {
        at,
        found: JSON.stringify(name),
        expected: `${MEMBER} and nothing else`,
      })
      return undefined
    }
    this.#size = sparse?.size ?? size
    if (this.#size > virtualSize) {
      const expected = `at most ${formatSize(virtualSize)}`
      findings.note('SIZE_LIMIT', { at, found: formatSize(this.#size), expected })
      return undefined
    }
    return sparse ? sparseSink(sparse.runs, sink) : plainSink(sink)
  }
}

function plainSink(sink: ExtentSink): MemberSink {
  let position = 0
  return {
    push: async (chunk) => {
      await sink.write(position, chunk)
      position += chunk.length
    },
    end: () => {},
  }
}

/** Brings each run of data, which follow each other, to its place in the disk. */
function sparseSink(runs: SparseRuns, sink: ExtentSink): MemberSink {
  let run = 0
  let done = 0
  return {
    push: async (chunk) => {
      for (let at = 0; at < chunk.length;) {
        while (run < runs.count && done === runs.length(run)) {
          run++
          done = 0
        }
        if (run >= runs.count) return
        const part = chunk.subarray(at, at + runs.length(run) - done)
        await sink.write(runs.offset(run) + done, part)
        done += part.length
        at += part.length
      }
    },
    end: () => {},
  }
}
