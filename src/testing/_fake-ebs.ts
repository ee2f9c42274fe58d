/** Snapshots as the EBS direct APIs write them: begun, filled by blocks, sealed. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { GiB, KiB } from '../base/units.ts'

export interface FakeSnapshot {
  readonly id: string
  /** GiB. */
  readonly size: number
  readonly token: string
  readonly tags: Map<string, string>
  state: 'pending' | 'completed'
  /** By number; empty where they are not kept. */
  readonly blocks: Map<number, Buffer>
}

export class EbsRefusal extends Error {
  readonly status: number
  constructor(status: number, name: string, message = name) {
    super(message)
    this.status = status
    this.name = name
  }
}

const BLOCK = 512 * KiB
const NOTHING = Buffer.alloc(0)

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly json: unknown
}

export class FakeBlocks {
  received = 0
  readonly #snapshots: Map<string, FakeSnapshot>
  readonly #account: string
  readonly #keeps: boolean

  constructor(snapshots: Map<string, FakeSnapshot>, of: { account: string; keeps: boolean }) {
    this.#snapshots = snapshots
    this.#account = of.account
    this.#keeps = of.keeps
  }

  answer(request: IncomingMessage, body: Buffer): Answer {
    const { pathname } = new URL(request.url ?? '', 'http://ebs')
    const [, , second = '', third, block = ''] = pathname.split('/')
    if (request.method === 'POST' && pathname === '/snapshots') return this.#start(body)
    if (request.method === 'POST' && second === 'completion')
      return this.#complete(this.#pending(third), request)
    if (request.method === 'PUT' && third === 'blocks' && /^\d+$/.test(block))
      return this.#put(this.#pending(second), Number(block), request, body)
    throw new EbsRefusal(404, 'ResourceNotFoundException')
  }

  read(id: string, length: number): Buffer {
    const { blocks } = this.#snapshots.get(id)!
    const volume = Buffer.alloc(Math.ceil(length / BLOCK) * BLOCK)
    for (const [number, bytes] of blocks) volume.set(bytes, number * BLOCK)
    return volume.subarray(0, length)
  }

  #start(body: Buffer): Answer {
    const {
      VolumeSize,
      ClientToken,
      Description,
      Tags,
      Timeout,
      Encrypted = false,
      KmsKeyArn,
      ...more
    } = JSON.parse(body.toString()) as {
      Encrypted?: boolean
      KmsKeyArn?: string
      VolumeSize?: number
      ClientToken?: string
      Description?: string
      Tags?: { Key: string; Value: string }[]
      Timeout?: number
    }
    if (!Number.isInteger(VolumeSize) || !(Number(VolumeSize) >= 1))
      throw new EbsRefusal(400, 'ValidationException', 'VolumeSize')
    if (Object.keys(more).length > 0 || (Timeout !== undefined && (Timeout < 10 || Timeout > 4320)))
      throw new EbsRefusal(400, 'ValidationException', JSON.stringify(more))
    if (KmsKeyArn !== undefined && !Encrypted)
      throw new EbsRefusal(400, 'ValidationException', 'KmsKeyArn without Encrypted')
    if (!ClientToken || ClientToken.length > 255 || (Description ?? '').length > 255)
      throw new EbsRefusal(400, 'ValidationException', 'ClientToken, Description')
    const known = [...this.#snapshots.values()].find(({ token }) => token === ClientToken)
    const snapshot = known ?? {
      id: `snap-${String(this.#snapshots.size + 1).padStart(17, '0')}`,
      size: Number(VolumeSize),
      token: ClientToken,
      tags: new Map((Tags ?? []).map(({ Key, Value }) => [Key, Value])),
      state: 'pending' as const,
      blocks: new Map<number, Buffer>(),
    }
    this.#snapshots.set(snapshot.id, snapshot)
    const json = {
      SnapshotId: snapshot.id,
      OwnerId: this.#account,
      Status: snapshot.state,
      VolumeSize,
      BlockSize: BLOCK,
    }
    return { status: 201, json }
  }

  #put(snapshot: FakeSnapshot, number: number, { headers }: IncomingMessage, body: Buffer): Answer {
    const digest = createHash('sha256').update(body).digest('base64')
    if (body.length !== BLOCK || headers['x-amz-data-length'] !== String(BLOCK))
      throw new EbsRefusal(400, 'ValidationException', 'a block has 524288 bytes')
    if (headers['x-amz-checksum-algorithm'] !== 'SHA256' || headers['x-amz-checksum'] !== digest)
      throw new EbsRefusal(400, 'ValidationException', 'the check sum')
    if ((number + 1) * BLOCK > snapshot.size * GiB)
      throw new EbsRefusal(400, 'ValidationException', 'a block behind the end')
    this.received += body.length
    snapshot.blocks.set(number, this.#keeps ? body : NOTHING)
    return {
      status: 201,
      headers: { 'x-amz-checksum': digest, 'x-amz-checksum-algorithm': 'SHA256' },
      json: {},
    }
  }

  #complete(snapshot: FakeSnapshot, { headers }: IncomingMessage): Answer {
    if (headers['x-amz-changedblockscount'] !== String(snapshot.blocks.size))
      throw new EbsRefusal(
        400,
        'ValidationException',
        `${snapshot.blocks.size} blocks were written`,
      )
    snapshot.state = 'completed'
    return { status: 202, json: { Status: 'pending' } }
  }

  #pending(id = ''): FakeSnapshot {
    const snapshot = this.#snapshots.get(id)
    if (snapshot === undefined) throw new EbsRefusal(404, 'ResourceNotFoundException')
    if (snapshot.state !== 'pending') throw new EbsRefusal(409, 'ConflictException')
    return snapshot
  }
}
