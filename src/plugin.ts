/**
 * The door for authors of parts: the contracts, and functions that type their literals. A module that the
 * configuration names under `plugins` exports them, as docs/plugins.md tells:
 *
 *     export const plugin = definePlugin({ name: 'mine', osBuilders: [myBuilder] })
 *
 * A validator of one's own is also handed to `readRecipe` beside the built-in ones:
 *
 *     readRecipe(file, { validators: validatorMap([...builtinValidators, mine]) })
 */
export type { Static, TSchema } from 'typebox'
export { definePlugin, type Plugin } from './app/plugins.ts'
export type { Context } from './base/context.ts'
export { Failure, type FailureCode, isFailure } from './base/failure.ts'
export { fetchFile, type FetchOptions } from './bytes/fetch-file.ts'
export type { BuildLog } from './factory/build-log.ts'
export {
  type Artifact,
  type CloudTarget,
  defineCloudTarget,
  type FormattedDisk,
  type Provider,
  type Pushed,
  type PushedDisk,
  type PushJob,
} from './factory/cloud-target.ts'
export type { DocumentKind, FactoryImage, JsonObject } from './factory/factory-image.ts'
export {
  type BuiltImage,
  type ClearContext,
  defineOsBuilder,
  type Discovered,
  type Holding,
  type Holdings,
  type Job,
  type OsBuilder,
  type Phase,
  type PhaseScene,
} from './factory/os-builder.ts'
export type { Reach } from './factory/reach.ts'
export { streamFormatted } from './factory/stream-formatted.ts'
export type { InstallPlan, InstallSource, OsName, Template } from './factory/template.ts'
export type {
  ArrivingData,
  ImportData,
  ImportMethod,
  MethodAsked,
  MethodScene,
  MethodWork,
  StandingData,
} from './imports/method.ts'
export type { ByteStep, Description, ImportStep, RecordStep, StepScene } from './imports/step.ts'
export {
  type BranchValidator,
  defineBranch,
  defineValidator,
  type Difference,
  type LeafValidator,
  type Loading,
  type Scene,
  type Validator,
} from './recipes/validator.ts'
export type { Facts } from './remotes/facts.ts'
export type { Command, CommandResult, FileStat, RemoteDriver } from './remotes/remote.ts'
export { Type } from './schema/type.ts'
export {
  defineStoreDriver,
  type DriverStore,
  type ListedObject,
  type ObjectWriter,
  type StoreContext,
  type StoreDriver,
} from './stores/store.ts'
export type { Json } from './tasks/task.ts'
