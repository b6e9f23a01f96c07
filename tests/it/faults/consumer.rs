//! A durable consumer that somebody deletes while it is worked on.

use super::World;

#[tokio::test]
async fn a_consumer_that_is_deleted_under_load_is_made_again_and_nothing_is_lost() {
    let world = World::at_work().await;
    let deletion = async {
        let stream = world.client.connection.jetstream.get_stream("COUNTS").await.unwrap();
        stream.delete_consumer("w").await.unwrap();
    };
    world.load(0..400, 50, deletion).await;
    // The new consumer begins at the stream's first message: what was done is done once more, and changes nothing.
    world.holds().await;
    world.client.stop().await;
}
