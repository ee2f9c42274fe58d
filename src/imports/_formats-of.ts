import { Failure } from '../base/failure.ts'
import type { Image } from '../images/image.ts'
import type { ImportConfig } from './_ground.ts'
import type { ArrivingData } from './method.ts'

/** What data that arrives is: as its source says, else as the image does. Fails with FORMAT_MISMATCH. */
export function formatsOf(
  image: Image,
  { formats }: Pick<ArrivingData, 'formats'>,
  allowed: Pick<ImportConfig['image'], 'disk_formats' | 'container_formats'>,
): { readonly diskFormat: string; readonly containerFormat: string } {
  const diskFormat = formats?.diskFormat ?? image.diskFormat ?? 'raw'
  const containerFormat = formats?.containerFormat ?? image.containerFormat ?? 'bare'
  if (
    allowed.disk_formats.includes(diskFormat) &&
    allowed.container_formats.includes(containerFormat)
  )
    return { diskFormat, containerFormat }
  throw new Failure(
    'FORMAT_MISMATCH',
    `the data is ${diskFormat} in ${containerFormat}, and images here cannot be`,
    { details: { diskFormat, containerFormat } },
  )
}
