"""A study: does learning what people take beat their usual?"""

from slategym.experiments import Learner, Place, Profile, Roles, Study

STUDY = Study(
    name="coffee-bar",
    title="The coffee bar: people who grow fond of what they drink",
    question="Does a learner that counts for everybody alike beat each guest's usual kind?",
    places=(
        Place("bar", "CoffeeBar-v0"),
        Place("static twin", "CoffeeBar-v0", {"static": True}, role="control"),
    ),
    policies=("random", "usual", "myopic"),
    learners=(Learner("bartender"),),
    roles=Roles(opponent="usual", reference="myopic", control_reference="myopic"),
    unit="drinks per visit",
    profiles={
        "quick": Profile("2 seeds, 200 guests", seeds=2, users=200),
        "full": Profile("5 seeds, 2,000 guests", seeds=5, users=2_000),
    },
)
