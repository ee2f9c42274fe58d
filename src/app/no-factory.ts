import { Failure } from '../base/failure.ts'
import type { Factory } from '../factory/factory.ts'
import type { RecipeRuns } from '../factory/recipe-runs.ts'

/**
 * In place of factory and recipe runs in a service that a command opened for its images alone: it loads none of their
 * parts, and leaves their tasks to servers. Whoever asks for them all the same is told so, with REQUEST_INVALID.
 */
export function noFactory(): { readonly factory: Factory; readonly recipeRuns: RecipeRuns } {
  const kept = { get: refuseSoon, list: refuseSoon, readLog: refuseSoon, follow: refuse, kinds: [] }
  return {
    factory: {
      ...kept,
      orderBase: refuseSoon,
      orderTarget: refuseSoon,
      orderProvider: refuseSoon,
      importBase: refuseSoon,
      readDocument: refuseSoon,
      openArtifact: refuseSoon,
      cancel: refuseSoon,
      retry: refuseSoon,
      delete: refuseSoon,
      parts: () => [],
      leftovers: refuseSoon,
      reap: refuseSoon,
      [Symbol.asyncDispose]: async () => {},
    },
    recipeRuns: {
      ...kept,
      pack: refuseSoon,
      validate: refuseSoon,
      provision: refuseSoon,
      readReports: refuseSoon,
      cancel: refuseSoon,
    },
  }
}

function refuse(): never {
  throw new Failure('REQUEST_INVALID', 'this service was opened without the image factory')
}

async function refuseSoon(): Promise<never> {
  return refuse()
}
