/** Metadata definitions: namespaces of properties, objects, tags and resource types. Made by `openMetadefs` (`open-metadefs.ts`). */

/** Filled in by its own contract in this room. */
export interface Metadefs {
  readonly ready: true
}
