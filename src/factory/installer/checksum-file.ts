import { basename } from 'node:path/posix'
import { Failure } from '../../base/failure.ts'

export type DigestAlgorithm = 'md5' | 'sha1' | 'sha256'

const DIGITS: Readonly<Record<DigestAlgorithm, number>> = { md5: 32, sha1: 40, sha256: 64 }

/**
 * The digest of `fileName` in a file of checksums: as md5sum and its kin write it (`digest  name`, `digest *name`), as
 * BSD's tools do (`SHA256 (name) = digest`), or a digest alone. Names count by their last part.
 * Fails with DIGEST_MISMATCH when the file names no digest of that kind, or two.
 */
export function findChecksum(text: string, fileName: string, algorithm: DigestAlgorithm): string {
  const digest = `([0-9a-f]{${DIGITS[algorithm]}})`
  const plain = new RegExp(`^\\\\?${digest}(?: [ *]|\t+| +)(.+)$`, 'i')
  const bsd = new RegExp(`^${algorithm} ?\\((.+)\\) ?= ?${digest}$`, 'i')
  const alone = new RegExp(`^${digest}$`, 'i')
  const found = new Set<string>()
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  for (const line of lines) {
    const [, sum, name] = plain.exec(line) ?? []
    const [, bsdName, bsdSum] = bsd.exec(line) ?? []
    const value = sum ?? bsdSum
    if (value !== undefined && basename((name ?? bsdName ?? '').trim()) === fileName)
      found.add(value.toLowerCase())
  }
  const only = lines.filter(Boolean)
  const bare = only.length === 1 ? alone.exec(only[0] ?? '')?.[1] : undefined
  if (found.size === 0 && bare !== undefined) found.add(bare.toLowerCase())
  const [first] = found
  if (first === undefined || found.size > 1)
    throw new Failure(
      'DIGEST_MISMATCH',
      first === undefined
        ? `the checksum file has no ${algorithm} of ${fileName}`
        : `the checksum file has ${found.size} different ${algorithm} of ${fileName}`,
    )
  return first
}
