/** Every built-in part of the image service, in the order in which docs list them. */
import { convert } from '../imports/steps/convert.ts'
import { decompress } from '../imports/steps/decompress.ts'
import { injectMetadata } from '../imports/steps/inject-metadata.ts'
import { inspect } from '../imports/steps/inspect.ts'
import { introspect } from '../imports/steps/introspect.ts'
import { copyImage } from '../imports/methods/copy-image.ts'
import { glanceDirect } from '../imports/methods/glance-direct.ts'
import { glanceDownload } from '../imports/methods/glance-download.ts'
import { webDownload } from '../imports/methods/web-download.ts'
import type { ImportMethod } from '../imports/method.ts'
import type { ImportStep } from '../imports/step.ts'
import { fileDriver } from '../stores/drivers/file.ts'
import { httpDriver } from '../stores/drivers/http.ts'
import { memoryDriver } from '../stores/drivers/memory.ts'
import { s3Driver } from '../stores/drivers/s3.ts'
import { swiftDriver } from '../stores/drivers/swift.ts'
import type { StoreDriver } from '../stores/store.ts'

export const storeDrivers: readonly StoreDriver[] = [
  fileDriver,
  memoryDriver,
  httpDriver,
  s3Driver,
  swiftDriver,
]

export const importSteps: readonly ImportStep[] = [
  decompress,
  inspect,
  convert,
  injectMetadata,
  introspect,
]

export const importMethods: readonly ImportMethod[] = [
  glanceDirect,
  webDownload,
  copyImage,
  glanceDownload,
]
