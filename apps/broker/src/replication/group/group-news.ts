/** What a group's listener has not been told yet. */
import type { GroupListener } from '../contract.ts'

export class GroupNews {
  #truncatedTo: number | undefined
  #roleChanged = false
  #replicasChanged = false
  #advanced = false

  get any(): boolean {
    return this.#advanced || this.#roleChanged || this.#replicasChanged || this.#truncatedTo !== undefined
  }

  noteAdvanced(): void {
    this.#advanced = true
  }

  noteRoleChanged(): void {
    this.#roleChanged = true
  }

  noteReplicasChanged(): void {
    this.#replicasChanged = true
  }

  noteTruncated(offset: number): void {
    this.#truncatedTo = Math.min(offset, this.#truncatedTo ?? Infinity)
  }

  /** Tells all of it: first what is lost, then who leads, then what is gained. */
  tell(listener: GroupListener): void {
    if (this.#truncatedTo !== undefined) {
      const offset = this.#truncatedTo
      this.#truncatedTo = undefined
      listener.truncated(offset)
    }
    if (this.#roleChanged) {
      this.#roleChanged = false
      listener.roleChanged()
    }
    if (this.#replicasChanged) {
      this.#replicasChanged = false
      listener.replicasChanged()
    }
    if (this.#advanced) {
      this.#advanced = false
      listener.advanced()
    }
  }
}
