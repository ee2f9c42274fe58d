/** The library's door: what the `ingot` command does, for programs. */
export { builtinValidators, validatorMap } from './app/builtin.ts'
export { type Context, makeContext, type ProgressEvent } from './base/context.ts'
export { Failure, type FailureCode, isFailure } from './base/failure.ts'
export { FAILURES } from './base/failures.ts'
export type { Log } from './base/log.ts'
export {
  checkImage,
  type ImageRunOptions,
  packImage,
  type PackOptions,
} from './recipes/image-run.ts'
export { inspectRecipe, readRecipe } from './recipes/read-recipe.ts'
export type { Argument, Recipe, RecipeFault, Step } from './recipes/recipe.ts'
export type { Report, Status, Verdict } from './recipes/report.ts'
export { runRecipe, type RunRecipeOptions } from './recipes/run-recipe.ts'
export { type ImageOptions, openImageRemote } from './remotes/open-image.ts'
export { fenceUplinks } from './remotes/fenced-uplink.ts'
export { hostUplink, type OpenUplink, type Uplink } from './remotes/uplink.ts'
export { openRemote } from './remotes/open-remote.ts'
export type { Remote, RemoteDriver } from './remotes/remote.ts'
