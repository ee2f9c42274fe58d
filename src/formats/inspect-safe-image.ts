import type { Context } from '../base/context.ts'
import { imageFailure } from './image-failure.ts'
import { type Inspection, inspectImage, type InspectOptions } from './inspect.ts'

/**
 * As `inspectImage`, for those who go on to open the image: one that is not safe is a failure, by the
 * first finding that refuses it (IMAGE_UNSAFE, IMAGE_DIRTY, …), all of them in `details.findings`.
 */
export async function inspectSafeImage(
  path: string,
  options: InspectOptions,
  context: Context,
): Promise<Inspection> {
  const inspection = await inspectImage(path, options, context)
  if (!inspection.safe) throw imageFailure(path, inspection.findings)
  return inspection
}
