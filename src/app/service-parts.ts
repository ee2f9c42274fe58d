/** Built-in parts of the image service and those of plugins, by kind. */
import type { ImportMethod } from '../imports/method.ts'
import type { ImportStep } from '../imports/step.ts'
import type { StoreDriver } from '../stores/store.ts'
import { importMethods, importSteps, storeDrivers } from './builtin-service.ts'
import { joinParts, type Plugin } from './plugins.ts'

export interface ServiceParts {
  readonly storeDrivers: readonly StoreDriver[]
  readonly importMethods: readonly ImportMethod[]
  readonly importSteps: readonly ImportStep[]
}

/** Fails with CONFIG_INVALID when a name comes twice. */
export function serviceParts(plugins: readonly Plugin[]): ServiceParts {
  return {
    storeDrivers: joinParts('store driver', storeDrivers, plugins, (plugin) => plugin.storeDrivers),
    importMethods: joinParts(
      'import method',
      importMethods,
      plugins,
      (plugin) => plugin.importMethods,
    ),
    importSteps: joinParts('import step', importSteps, plugins, (plugin) => plugin.importSteps),
  }
}
