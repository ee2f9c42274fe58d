/**
 * OVA: a tar archive with an OVF descriptor first, perhaps a manifest of digests, and the disks. One
 * pass over it checks the archive, the descriptor, the digests, and every disk as a VMDK of its own.
 * Source: DMTF DSP0243, 6 and 7.
 */
import { createHash, type Hash } from 'node:crypto'
import { MiB } from '../base/units.ts'
import type { FindingList } from './_findings.ts'
import { type OvfDescriptor, parseOvf } from './_ovf-descriptor.ts'
import { type MemberSink, type TarMember, TarWalk } from './tar.ts'

/** What a descriptor or a manifest may have. */
const MAX_TEXT = 1 * MiB
const ALGORITHMS = { SHA1: 'sha1', SHA256: 'sha256', SHA512: 'sha512' } as const
type Algorithm = (typeof ALGORITHMS)[keyof typeof ALGORITHMS]

/** What became of a disk inside the archive. */
export interface MemberDisk {
  readonly virtualSize?: number | undefined
}

export interface OvaOptions {
  readonly findings: FindingList
  /** Asked for every file that the descriptor says is a disk: where its content goes. */
  readonly inspectDisk: (member: TarMember) => DiskSink
}

/** Takes the content of a disk; `result` once it has ended. */
export interface DiskSink extends MemberSink {
  readonly result: MemberDisk | undefined
}

interface Seen {
  readonly member: TarMember
  readonly digests: Partial<Record<Algorithm, string>>
  readonly disk?: DiskSink
}

/** One pass over an OVA that comes in chunks of any size. */
export class OvaWalk {
  readonly #options: OvaOptions
  readonly #tar: TarWalk
  readonly #seen: Seen[] = []
  #descriptor: { name: string; at: number; ovf: OvfDescriptor | undefined } | undefined
  #manifest: { name: string; at: number; text: string } | undefined

  constructor(options: OvaOptions) {
    this.#options = options
    this.#tar = new TarWalk({
      findings: options.findings,
      onMember: (member) => this.#begin(member),
    })
  }

  /** Whether a descriptor has been seen: what makes an archive an OVA. */
  get hasDescriptor(): boolean {
    return this.#descriptor !== undefined
  }

  push(chunk: Uint8Array): Promise<void> {
    return this.#tar.push(chunk)
  }

  /** The archive has ended: what its parts say about each other is compared. */
  end(): void {
    const { findings } = this.#options
    const whole = this.#tar.end()
    const descriptor = this.#descriptor
    if (descriptor === undefined)
      return findings.note('DESCRIPTOR_INVALID', { found: 'no .ovf in the archive' })
    if (!whole) return
    if (descriptor.ovf) this.#checkFiles(descriptor.ovf, descriptor.at)
    if (this.#manifest) this.#checkManifest(this.#manifest.text, this.#manifest.at)
  }

  #begin(member: TarMember): MemberSink {
    const { findings } = this.#options
    const isFirst = this.#tar.count === 1
    const ending = /\.[^.]*$/.exec(member.name.toLowerCase())?.[0]
    const disorder = (found: string) =>
      findings.note('DESCRIPTOR_INVALID', { at: member.at, found })
    if (ending === '.ovf') {
      if (this.#descriptor) disorder(`a second descriptor, ${member.name}`)
      else if (!isFirst) disorder(`the descriptor ${member.name} behind other members`)
      return this.#hashed(
        member,
        this.#textSink(member, (text) => this.#takeDescriptor(member, text)),
      )
    }
    if (ending === '.mf') {
      if (this.#manifest) disorder(`a second manifest, ${member.name}`)
      return this.#textSink(member, (text) => {
        this.#manifest ??= { name: member.name, at: member.at, text: text.toString('latin1') }
      })
    }
    if (ending === '.cert') return this.#textSink(member, () => {})
    const ovf = this.#descriptor?.ovf
    const file = ovf?.files.find(({ href }) => href === member.name)
    const isDisk = file && ovf?.disks.some(({ fileRef }) => fileRef === file.id)
    const disk = isDisk ? this.#options.inspectDisk(member) : undefined
    return this.#hashed(member, disk, disk)
  }

  #takeDescriptor(member: TarMember, text: Buffer): void {
    if (this.#descriptor) return
    const ovf = parseOvf(text, member.at, this.#options.findings)
    this.#descriptor = { name: member.name, at: member.at, ovf }
  }

  /** A short text as a whole. */
  #textSink(member: TarMember, take: (text: Buffer) => void): MemberSink {
    const chunks: Buffer[] = []
    const isTooLong = member.size > MAX_TEXT
    if (isTooLong)
      this.#options.findings.note('OUT_OF_RANGE', {
        at: member.at,
        found: `${member.name} of ${member.size} bytes`,
        expected: `at most ${MAX_TEXT}`,
      })
    return {
      push: (chunk) => void (isTooLong || chunks.push(Buffer.from(chunk))),
      end: () => void (isTooLong || take(Buffer.concat(chunks))),
    }
  }

  /** Passes a member on, taking the digests that the manifest has of it, or may still bring. */
  #hashed(member: TarMember, to: MemberSink | undefined, disk?: DiskSink): MemberSink {
    const hashes = new Map<Algorithm, Hash>()
    for (const algorithm of this.#algorithmsFor(member.name))
      hashes.set(algorithm, createHash(algorithm))
    return {
      push: async (chunk) => {
        for (const hash of hashes.values()) hash.update(chunk)
        await to?.push(chunk)
      },
      end: async () => {
        await to?.end()
        const digests = Object.fromEntries(
          [...hashes].map(([name, hash]) => [name, hash.digest('hex')]),
        )
        this.#seen.push({ member, digests, ...(disk && { disk }) })
      },
    }
  }

  #algorithmsFor(name: string): readonly Algorithm[] {
    if (this.#manifest === undefined) return Object.values(ALGORITHMS)
    return linesOf(this.#manifest.text).flatMap((line) =>
      line !== undefined && line.name === name ? [line.algorithm] : [],
    )
  }

  #checkFiles({ files, disks }: OvfDescriptor, at: number): void {
    const { findings } = this.#options
    for (const { id, href, size } of files) {
      const seen = this.#seen.find(({ member }) => member.name === href)
      if (seen === undefined) {
        findings.note('EXTERNAL_REFERENCE', {
          at,
          found: `${JSON.stringify(href)}, which is not in the archive`,
        })
        continue
      }
      if (size !== undefined && size !== seen.member.size)
        findings.note('SIZE_MISMATCH', {
          at: seen.member.at,
          found: `${seen.member.size} bytes of ${href}`,
          expected: `${size}, as the descriptor says`,
        })
      const capacity = disks.find(({ fileRef }) => fileRef === id)?.capacity
      const virtualSize = seen.disk?.result?.virtualSize
      if (capacity !== undefined && virtualSize !== undefined && capacity !== virtualSize)
        findings.note('SIZE_MISMATCH', {
          at: seen.member.at,
          found: `a disk of ${virtualSize} bytes in ${href}`,
          expected: `${capacity}, as the descriptor says`,
        })
    }
    for (const { member } of this.#seen)
      if (member.name !== this.#descriptor?.name && !files.some(({ href }) => href === member.name))
        findings.note('ODD', { at: member.at, found: `${member.name}, which nothing refers to` })
  }

  #checkManifest(text: string, at: number): void {
    const { findings } = this.#options
    const covered = new Set<string>()
    for (const line of linesOf(text)) {
      if (line === undefined) {
        findings.note('DESCRIPTOR_INVALID', {
          at,
          found: 'a line of the manifest that is no digest',
        })
        continue
      }
      const { name, algorithm, digest } = line
      covered.add(name)
      const seen = this.#seen.find(({ member }) => member.name === name)
      if (seen === undefined)
        findings.note('DIGEST_MISMATCH', {
          at,
          found: `a digest of ${JSON.stringify(name)}, which is not there`,
        })
      else if (seen.digests[algorithm] !== digest)
        findings.note('DIGEST_MISMATCH', {
          at: seen.member.at,
          found: `${algorithm} ${seen.digests[algorithm]} of ${name}`,
          expected: digest,
        })
    }
    for (const { member } of this.#seen)
      if (!covered.has(member.name))
        findings.note('DIGEST_MISMATCH', { at, found: `no digest of ${member.name}` })
  }
}

/** `SHA256(disk.vmdk)= 0f3a…`; undefined for a line that is something else. */
function linesOf(
  text: string,
): ({ algorithm: Algorithm; name: string; digest: string } | undefined)[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .slice(0, 2000)
    .map((line) => {
      const parts = /^(SHA-?(?:1|256|512))\s*\(([^)]*)\)\s*=\s*([0-9a-f]+)\s*$/i.exec(line)
      if (!parts) return undefined
      const kind = (parts[1] ?? '').toUpperCase().replace('-', '') as keyof typeof ALGORITHMS
      return {
        algorithm: ALGORITHMS[kind],
        name: parts[2] ?? '',
        digest: (parts[3] ?? '').toLowerCase(),
      }
    })
}
