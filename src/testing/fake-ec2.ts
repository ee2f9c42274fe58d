/**
 * A small Amazon in this process: the part of EC2 that makes AMIs, and the EBS direct APIs. It checks every signature, the
 * shape and the required parameters of what is asked, and the digest of each block; what was sent can be read back.
 * Source: "Amazon EC2 API Reference" (2016-11-15) and "EBS direct APIs" (2019-11-02).
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { EbsRefusal, FakeBlocks, type FakeSnapshot } from './_fake-ebs.ts'
import {
  type Answer,
  type Asked,
  EC2_ACTIONS,
  Ec2Refusal,
  type FakeImage,
} from './_fake-ec2-actions.ts'
import type { FakeS3 } from './fake-s3.ts'
import { endServer, listen } from './listen.ts'
import { signatureFault } from './_signature-4.ts'

export interface FakeEc2 extends AsyncDisposable {
  readonly endpoint: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: string
  readonly account: string
  /** Actions of EC2, and `PUT /snapshots/…` of EBS, in order. */
  readonly asked: readonly string[]
  readonly images: ReadonlyMap<string, FakeImage>
  readonly snapshots: ReadonlyMap<string, FakeSnapshot>
  /** The first bytes of a volume of the snapshot. */
  read(snapshot: string, length: number): Buffer
  /** Bytes of blocks that were taken. */
  readonly received: number
  /** What goes wrong from now on. */
  readonly trouble: Ec2Trouble
}

export interface Ec2Trouble {
  /** So many answers are 503. */
  failNext: number
  /** Actions that are refused, and why: `{ RegisterImage: 'UnauthorizedOperation' }`. */
  readonly refused: Record<string, string>
  /** The import service ends with an error. */
  badImport: boolean
  /** Actions that are done once more, but whose answer is lost: it is a 500. */
  readonly lost: Set<string>
}

export interface FakeEc2Options {
  /** Where imports read; its keys are those of this account. */
  readonly s3?: FakeS3
  /** Whether blocks are kept, to be read back. Default true. */
  readonly keeps?: boolean
}

const REGION = 'us-east-1'

export async function openFakeEc2({ s3, keeps = true }: FakeEc2Options = {}): Promise<FakeEc2> {
  const account = '123456789012'
  const { accessKey, secretKey } = s3 ?? { accessKey: 'AKIDFAKE', secretKey: randomUUID() }
  const keys = { accessKey, secretKey }
  const trouble: Ec2Trouble = { failNext: 0, refused: {}, badImport: false, lost: new Set() }
  const asked: string[] = []
  const images = new Map<string, FakeImage>()
  const snapshots = new Map<string, FakeSnapshot>()
  const blocks = new FakeBlocks(snapshots, { account, keeps })
  const world = { account, images, snapshots, imports: new Map(), s3, trouble }

  const ofEc2 = (body: Buffer): string => {
    const form = new URLSearchParams(body.toString())
    const action = form.get('Action') ?? ''
    asked.push(action)
    const refusal = trouble.refused[action]
    if (refusal !== undefined) throw new Ec2Refusal(403, refusal)
    if (form.get('Version') !== '2016-11-15') throw new Ec2Refusal(400, 'InvalidParameterValue')
    const act: ((world: Asked) => Answer) | undefined = EC2_ACTIONS[action]
    if (act === undefined) throw new Ec2Refusal(400, 'InvalidAction')
    const given = new Map(form)
    const content = act({ ...world, form: given })
    const unread = [...given.keys()].filter((key) => !['Action', 'Version'].includes(key))
    if (trouble.lost.delete(action)) throw new Ec2Refusal(500, 'InternalError')
    if (unread.length > 0) throw new Ec2Refusal(400, 'UnknownParameter', unread.join(' '))
    return `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>${randomUUID()}</requestId>${content}</${action}Response>`
  }

  const server = createServer((request, response) => {
    const work = async () => {
      const body = await bodyOf(request)
      const isEbs = (request.url ?? '').startsWith('/snapshots')
      if (isEbs) asked.push(`${request.method} ${request.url}`)
      if (trouble.failNext > 0) {
        trouble.failNext--
        throw new Ec2Refusal(503, 'Unavailable')
      }
      const signer = { ...keys, region: REGION, service: isEbs ? 'ebs' : 'ec2' }
      const fault = signatureFault(request, body, signer)
      if (fault !== undefined) throw new Ec2Refusal(fault.status, fault.name)
      if (!isEbs) {
        const answer = ofEc2(body)
        return response.writeHead(200, { 'content-type': 'text/xml' }).end(answer)
      }
      const { status, headers, json } = blocks.answer(request, body)
      return response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(json))
    }
    work().catch((error: unknown) => {
      const isKnown = error instanceof Ec2Refusal || error instanceof EbsRefusal
      const refusal = isKnown ? error : new Ec2Refusal(500, 'InternalError', String(error))
      const { status, name, message } = refusal
      if ((request.url ?? '').startsWith('/snapshots'))
        return response
          .writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': name })
          .end(JSON.stringify({ Message: message }))
      return response
        .writeHead(status, { 'content-type': 'text/xml' })
        .end(
          `<Response><Errors><Error><Code>${name}</Code><Message>${message}</Message></Error></Errors><RequestID>1</RequestID></Response>`,
        )
    })
  })
  return {
    endpoint: await listen(server),
    region: REGION,
    ...keys,
    account,
    asked,
    images,
    snapshots,
    read: (id, length) => blocks.read(id, length),
    get received() {
      return blocks.received
    },
    trouble,
    [Symbol.asyncDispose]: () => endServer(server),
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
