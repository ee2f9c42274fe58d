import { Failure } from '../../base/failure.ts'
import type { Ground } from './_ground.ts'
import type { StageJob } from './_job.ts'
import { readDocument } from './_read-document.ts'
import type { Provider, PushedDisk, PushJob } from '../cloud-target.ts'
import type { DocumentKind, FactoryImage } from '../factory-image.ts'

/** A job with the disk that is pushed, open until it is disposed of. */
export async function pushJob(
  ground: Ground,
  job: StageJob,
  { targetImage, provider }: { targetImage: FactoryImage; provider: Provider },
): Promise<{ job: PushJob } & AsyncDisposable> {
  const disk =
    targetImage.bodyId === null
      ? undefined
      : await ground.bodies.openDisk(targetImage, job.context.signal)
  const scene = {
    targetImage,
    provider,
    disk: disk ?? new NoDisk(targetImage),
    readDocument: async (kind: DocumentKind) =>
      await readDocument(ground.records, targetImage.id, kind),
  }
  return {
    job: job.with(scene),
    [Symbol.asyncDispose]: async () => await disk?.[Symbol.asyncDispose](),
  }
}

/** The disk of an image whose body stays in a cloud: for targets that know where it is. */
class NoDisk implements PushedDisk {
  readonly #image: FactoryImage

  constructor(image: FactoryImage) {
    this.#image = image
  }

  get size(): never {
    throw this.#missing()
  }

  get source(): never {
    throw this.#missing()
  }

  get map(): never {
    throw this.#missing()
  }

  async digest(): Promise<never> {
    throw this.#missing()
  }

  async open(): Promise<never> {
    throw this.#missing()
  }

  #missing(): Failure {
    const { id } = this.#image
    return new Failure('OBJECT_NOT_FOUND', `the body of target image ${id} stays in a cloud`, {
      details: { id },
      fix: 'Build the base with a body in a store, or push it to the cloud it is in.',
    })
  }
}
