/** Whether this process should get requests. */
import type pg from "pg";

export class Readiness {
  /** Set by SIGTERM. */
  draining = false;
  private migrated = false;

  constructor(private readonly pool: pg.Pool) {}

  /** Returns why this process should get no requests, or undefined.
   *
   * Once the tables exist an outage of the database does not make it unready: all replicas would be, and people would
   * see an error of the ingress instead of the page, which says what is wrong and tries again. */
  async notReadyReason(): Promise<string | undefined> {
    if (this.draining) return "draining";
    this.migrated ||= await this.succeeds("SELECT 1 FROM jwks LIMIT 1");
    return this.migrated ? undefined : "the database does not respond or is not migrated";
  }

  databaseResponds(): Promise<boolean> {
    return this.succeeds("SELECT 1");
  }

  private async succeeds(query: string): Promise<boolean> {
    return this.pool.query(query).then(
      () => true,
      () => false,
    );
  }
}
