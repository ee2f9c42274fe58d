/** Bodies of factory images for tests: the image service with real parts, and what `factory/body` is given of it. */
import { DigestThreads } from '../bytes/digest-threads.ts'
import type { BodyParts, BodyRecord } from '../factory/body/body.ts'
import { openTestService, type TestServiceOptions } from './test-service.ts'

export interface TestBodies extends BodyParts, AsyncDisposable {}

export async function openTestBodies(options: TestServiceOptions = {}): Promise<TestBodies> {
  await using opened = new AsyncDisposableStack()
  const service = opened.use(await openTestService(options))
  const digests = opened.use(new DigestThreads())
  const { database, catalog, images, uploads, content, ledger, context } = service
  const closing = opened.move()
  return {
    database,
    catalog,
    images,
    uploads,
    content,
    ledger,
    digests,
    context,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** Of an image of this id, for project `p-alice`. */
export function bodyRecord(imageId: string): BodyRecord {
  const requester = { owner: 'p-alice', userId: 'alice', requestId: 'req-1' }
  return { imageId, name: 'sample', requester, signal: new AbortController().signal }
}
