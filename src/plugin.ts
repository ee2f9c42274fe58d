/**
 * The door for authors of parts: the contracts, and functions that type their literals. A validator
 * of one's own is handed to `readRecipe` beside the built-in ones:
 *
 *     readRecipe(file, { validators: validatorMap([...builtinValidators, mine]) })
 */
export { Failure, type FailureCode } from './base/failure.ts'
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
export type { Command, CommandResult, FileStat, RemoteDriver } from './remotes/remote.ts'
export {
  defineStoreDriver,
  type DriverStore,
  type ListedObject,
  type ObjectWriter,
  type StoreContext,
  type StoreDriver,
} from './stores/store.ts'
