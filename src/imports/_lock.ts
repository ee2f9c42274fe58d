/** How an image shows that it is being imported. Source: properties that Glance sets, spelt as it spells them. */
import type { Image } from '../images/image.ts'

/** The task that holds the image; gone when it has ended. */
const TASK = 'os_glance_import_task'
/** Stores that are still to come, and those that failed; empty texts stay. */
const IMPORTING = 'os_glance_importing_to_stores'
const FAILED = 'os_glance_failed_import'

type Properties = Image['properties']

export interface ImportState {
  readonly importing: readonly string[]
  readonly failed: readonly string[]
}

/** While task `taskId` works on it. */
export function locked(
  properties: Properties,
  taskId: string,
  { importing, failed }: ImportState,
): Properties {
  return {
    ...properties,
    [TASK]: taskId,
    [IMPORTING]: importing.join(','),
    [FAILED]: failed.join(','),
  }
}

/** When it has ended. */
export function unlocked(properties: Properties, failed: readonly string[]): Properties {
  const { [TASK]: _, ...rest } = properties
  return { ...rest, [IMPORTING]: '', [FAILED]: failed.join(',') }
}

/** As `unlocked`, for work that shows no stores. */
export function released(properties: Properties): Properties {
  const { [TASK]: _, ...rest } = properties
  return rest
}

/** As `locked`, for work that shows no stores. */
export function held(properties: Properties, taskId: string): Properties {
  return { ...properties, [TASK]: taskId }
}

/** Stores that an earlier attempt of this import gave up. */
export function failedStores(properties: Properties): readonly string[] {
  return (properties[FAILED] ?? '').split(',').filter((store) => store !== '')
}
